"""Real kernel logs, damage included, against what a person read in them. `pytest -s` prints the score of each field."""

from __future__ import annotations

import dataclasses

import pytest

from oomguard.diagnosis.killers.reader import find_in_blocks, parse_log
from oomguard.formats.kernel_log import OomEvent, OtherKill
from tests.formats.kernel_log.oom_truth import Case, data_folder, read_cases, read_lines, score_all

# Told by the person from what the kernel does, not from the log: its line is cut off.
NOT_IN_THE_LOG = ["p43_5.0next_oomgroup_kills_init_caller: memcg limit: 51200, we say None"]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return read_cases()


def test_every_field_is_what_a_person_read(cases: list[Case]) -> None:
    score = score_all(cases)
    print(f"\n{score}")
    assert [wrong for wrong in score.wrong if wrong not in NOT_IN_THE_LOG] == []
    assert sum(score.asked.values()) > 700


def test_a_log_without_a_kill_gives_none(cases: list[Case]) -> None:
    negatives = [case for case in cases if case.truth["kind"] == "negative"]
    assert len(negatives) >= 7
    assert {case.name: case.found for case in negatives if case.found} == {}


def test_a_wrapped_log_gives_what_its_clean_twin_gives(cases: list[Case]) -> None:
    """A mail program broke the lines at 72 columns, rows of tables in two."""
    by_name = {case.name: case for case in cases}
    twins = [case for case in cases if "hard_variant_of" in case.truth]
    assert len(twins) >= 2
    for wrapped in twins:
        clean = by_name[wrapped.truth["hard_variant_of"]]
        assert [_comparable(event) for event in wrapped.events] == [_comparable(event) for event in clean.events]


def _comparable(event: OomEvent) -> OomEvent:
    """Everything but the quoted lines and the stack, whose register dump the mail program broke too."""
    return dataclasses.replace(event, evidence={}, trace=())


RENDERINGS = [
    "dmesg.txt", "dmesg-T.txt", "dmesg-x.txt", "dmesg-raw.txt", "dmesg-iso.txt", "dmesg-reltime.txt", "dmesg.json",
    "journal-k.json", "journal-k.short.txt", "journal-k.short-iso.txt", "journal-all.json", "journal-all.short-iso.txt",
]  # fmt: skip
# Scenarios with what each must find: kernel kills, kills by others.
SCENARIOS = {
    "6.1/global-swap": (2, []), "6.1/memcg-raw": (3, []), "6.1/oom-group": (2, []), "6.1-generic/cpuset": (2, []),
    "6.12/memcg-scope": (4, []), "6.12/variants": (3, []), "6.1/alloc-fail": (0, []), "6.12/alloc-fail-mod": (0, []),
    "6.1/earlyoom": (0, ["earlyoom", "earlyoom"]), "6.12-trixie/earlyoom": (0, ["earlyoom", "earlyoom"]),
    "6.1/nohang": (0, ["nohang"]), "6.1/oomd": (0, ["systemd-oomd", "systemd-oomd"]), "6.12-trixie/fboomd": (0, ["oomd"]),
    "6.12-trixie/oomd": (0, ["systemd-oomd", "systemd-oomd"]),
}  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_one_kill_in_every_rendering_of_dmesg_and_the_journal(scenario: str) -> None:
    folder = data_folder() / "oomlogs_vm" / scenario
    kernel_kills, by_others = SCENARIOS[scenario]
    seen: dict[str, object] = {}
    for name in RENDERINGS:
        if not (folder / name).exists():
            continue
        found = list(parse_log(read_lines(folder / name)))
        events = [dataclasses.replace(e, time=None, evidence={}, notes=()) for e in found if isinstance(e, OomEvent)]
        assert len(events) == kernel_kills, name
        seen.setdefault("first", events)
        assert events == seen["first"], name
        if name.startswith("journal-all"):
            others = [kill for kill in found if isinstance(kill, OtherKill)]
            assert [kill.killer for kill in others] == by_others, name
            assert all(kill.pid or kill.cgroup for kill in others)


def test_the_stream_of_blocks_gives_what_the_lines_give(cases: list[Case]) -> None:
    """Passing over what holds none of the words changes nothing, however the blocks fall."""
    for case in cases[::3]:
        text = (data_folder() / "oomlogs" / f"{case.name}.log").read_bytes()
        for size in (1 << 20, 4093):
            blocks = [text[start : start + size] for start in range(0, len(text), size)]
            assert list(find_in_blocks(blocks)) == case.found, (case.name, size)
