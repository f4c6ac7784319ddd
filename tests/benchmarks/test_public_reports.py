"""The programs of public reports: what `check` says of those that read an input, and that each has its cure."""

import pytest

from benchmarks.public_reports import ALL, REPORTS, marked
from oomguard.script_analysis.api import check_script

READING = [name for name, report in ALL.items() if report.given]


def test_each_has_a_cause_that_is_marked_and_a_cure() -> None:
    for name in ALL:
        (program,) = REPORTS.glob(f"{name}.*")
        assert (REPORTS / f"{name}_cured{program.suffix}").exists()
        assert program.suffix != ".py" or marked(program)


@pytest.mark.parametrize("name", READING)
def test_none_that_holds_its_input_fits_and_its_line_is_named(name: str) -> None:
    program = REPORTS / f"{name}.py"
    check = check_script(program)
    assert check.verdict != "fits"
    named = {found.line for found in check.findings} | {line.line for line in check.unseen}
    assert named & marked(program)
