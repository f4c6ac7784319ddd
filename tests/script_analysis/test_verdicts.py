"""The three verdicts: what holds its input, what streams, and what nobody can see through.

`kinds/` has a program for each kind of holding and streaming; `reported/` those that people found check wrong about.
A line that holds the input is marked `# FINDING`, one that cannot be seen through `# UNSEEN`; a script without marks
streams. The marks say what the program does, not what check says of it.
"""

from pathlib import Path

import pytest

from oomguard.script_analysis.api import check_script

SCRIPTS = Path(__file__).parent / "scripts"
MARKED = sorted([*(SCRIPTS / "kinds").glob("*.py"), *(SCRIPTS / "reported").glob("*.py")])
HOLDING = sorted((SCRIPTS / "holding").glob("*.py"))
# Scripts that stream properly, as people write them.
STREAMING = sorted((SCRIPTS / "clean").glob("*.py"))


def lines_with(script: Path, mark: str) -> set[int]:
    return {number for number, line in enumerate(script.read_text().splitlines(), 1) if f"# {mark}" in line}


@pytest.mark.parametrize("script", MARKED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_kind_is_seen_at_its_lines_and_gets_its_verdict(script: Path) -> None:
    check = check_script(script)
    holding, unseen = lines_with(script, "FINDING"), lines_with(script, "UNSEEN")
    assert {finding.line for finding in check.counted_findings} == holding
    assert {line.line for line in check.unseen} == unseen
    assert check.verdict == ("does not fit" if holding else "cannot say" if unseen else "fits")
    if holding:
        assert 0 < check.peak_line <= len(script.read_text().splitlines())  # of the script


@pytest.mark.parametrize("script", HOLDING, ids=lambda path: path.stem)
def test_what_holds_its_input_never_fits(script: Path) -> None:
    check = check_script(script)
    assert check.verdict == ("does not fit" if check.counted_findings else "cannot say")
    assert check.fits is not True


@pytest.mark.parametrize("script", STREAMING, ids=lambda path: path.stem)
def test_what_streams_fits(script: Path) -> None:
    check = check_script(script)
    assert check.verdict == "fits"
    assert check.unseen == ()
