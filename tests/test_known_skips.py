"""A skip is known only where what the test needs is missing."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.known_skips import HERE, why_unknown

ENTRIES = tomllib.loads(Path(__file__).with_name("known_skips.toml").read_text(encoding="utf-8"))["skip"]
EVERYTHING = {need: lambda: True for need in HERE}
NOTHING = {need: lambda: False for need in HERE}


def test_each_entry_can_be_used() -> None:
    for entry in ENTRIES:
        re.compile(entry["reason"])
        assert entry.keys() <= {"reason", "needs", "only_the_test_knows"}
        assert set(entry.get("needs", [])) <= HERE.keys()


def test_each_entry_says_what_is_needed_or_why_nobody_else_can_tell() -> None:
    for entry in ENTRIES:
        named = re.compile(entry["reason"]).groupindex.keys() & {"path", "module"}
        assert bool(entry.get("needs") or named) != ("only_the_test_knows" in entry), entry


@pytest.mark.parametrize("need", HERE)
def test_each_need_can_be_looked_for_here(need: str) -> None:
    assert HERE[need]() in (True, False)


def test_what_the_reason_names_is_looked_for(tmp_path: Path) -> None:
    assert why_unknown(f"{tmp_path}/none is not on this machine", NOTHING) is None
    assert "has what it needs" in (why_unknown(f"{tmp_path} is not on this machine", NOTHING) or "")
    assert why_unknown("could not import 'megatron.core.nowhere': No module named 'megatron'", NOTHING) is None


@pytest.mark.parametrize("reason", ["no Chromium here; to have it: apt-get install chromium", "needs zstd: install it"])
def test_what_a_machine_lacks_is_a_reason_and_what_it_has_is_none(reason: str) -> None:
    assert why_unknown(reason, NOTHING) is None
    assert "has what it needs" in (why_unknown(reason, EVERYTHING) or "")


def test_one_missing_need_is_enough() -> None:
    reason = "needs root and mkfs.xfs; .ci/run installs e2fsprogs, xfsprogs and btrfs-progs"
    assert why_unknown(reason, {**EVERYTHING, "mkfs.xfs": lambda: False}) is None


def test_any_other_reason_is_not_known() -> None:
    assert "not in" in (why_unknown("it fails today", NOTHING) or "")


def test_a_run_with_an_unknown_skip_fails_and_says_why(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "from tests.known_skips import SkipReport\ndef pytest_configure(config): config.pluginmanager.register(SkipReport())"
    )
    pytester.makepyfile(
        "import pytest\ndef test_a(): pytest.skip('it fails today')\ndef test_b(): pytest.skip('needs the wheel of a 1, which')"
    )
    run = pytester.runpytest_inprocess("-p", "no:xdist")
    assert run.ret == pytest.ExitCode.TESTS_FAILED
    run.stdout.fnmatch_lines(
        ["skipped   1 in *: it fails today", "FAILED: a skip that is not known (not in *): it fails today"]
    )
    assert "not known" not in "".join(line for line in run.outlines if "the wheel" in line)
