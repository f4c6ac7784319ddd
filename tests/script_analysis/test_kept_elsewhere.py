"""What is kept where no list is seen to grow, and programs of the same kinds that stream: two tables of small scripts.

In `kept_elsewhere.txt` the lines that hold the input, or that nobody can see through, are marked `# KEEPS`: callbacks of
frameworks, context variables, decorators, operators, caches, files that are memory. The marks say what the program
does, not what check says of it.
"""

import re
from pathlib import Path

from oomguard.script_analysis.api import check_script

SCRIPTS = Path(__file__).parent / "scripts"


def table(name: str) -> dict[str, str]:
    """Give the scripts of a table by their names."""
    parts = re.split(r"^### (\w+)\n", (SCRIPTS / name).read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_what_is_kept_elsewhere_is_named_at_its_line_and_never_fits(tmp_path: Path) -> None:
    wrong: dict[str, object] = {}
    scripts = table("kept_elsewhere.txt")
    for name, code in scripts.items():
        script = tmp_path / f"{name}.py"
        script.write_text(code)
        check = check_script(script)
        keeps = {number for number, line in enumerate(code.splitlines(), 1) if "# KEEPS" in line}
        holding, unseen = {one.line for one in check.counted_findings}, {one.line for one in check.unseen}
        if check.verdict == "fits" or not holding <= keeps <= holding | unseen:
            wrong[name] = (check.verdict, holding, unseen, keeps)
    assert wrong == {}
    assert len(scripts) >= 60


def test_programs_of_the_same_kinds_that_stream_fit(tmp_path: Path) -> None:
    wrong: dict[str, object] = {}
    scripts = table("streams_elsewhere.txt")
    for name, code in scripts.items():
        script = tmp_path / f"{name}.py"
        script.write_text(code)
        check = check_script(script)
        if check.verdict != "fits" or check.unseen:
            wrong[name] = [(line.line, line.why) for line in check.unseen]
    assert wrong == {}
    assert len(scripts) >= 30
