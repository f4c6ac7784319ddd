"""check reads no more than it can hold: devices, files of a gigabyte, generated tables, code nested thousands deep."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oomguard.script_analysis.api import check_script
from oomguard.script_analysis.source_files import shorten_tables

MOST_BYTES = 300_000_000
MOST_SECONDS = 5.0  # of CPU

GENERATED = {
    "numbers": "x = [" + "0, " * 1_000_000 + "]\n",
    "rows": "x = [" + "(1, 'a', 2.0), " * 300_000 + "]\n",
    "table": "x = {" + ", ".join(f"'key {n}': {n}" for n in range(200_000)) + "}\n",
    "lines": "x = [\n" + "    'a word',  # of many\n" * 200_000 + "]\n",
    "statements": "x = 1\n" * 1_000_000,
    "brackets": "x = " + "[" * 5000 + "]" * 5000 + "\n",
    "attributes": "x = a" + ".b" * 100_000 + "\n",
    "sum": "x = 1" + " + 1" * 100_000 + "\n",
    "branches": "if x: pass\n" + "elif y: pass\n" * 20_000,
    "text": 'x = """' + "a" * 7_000_000 + '"""\n',
}
REFUSED = {"statements", "brackets", "attributes", "sum", "branches"}


def run_check(script: Path | str, *flags: str, cwd: Path) -> tuple[int, str]:
    """The exit status and what was said; in bounds of time and memory, as the kernel counts them."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({MOST_BYTES}, {MOST_BYTES}));"
    limited += f"resource.setrlimit(resource.RLIMIT_CPU, ({MOST_SECONDS:.0f}, {MOST_SECONDS:.0f}));"
    limited += "from oomguard.cli.app import main; main()"
    command = [sys.executable, "-c", limited, "check", str(script), *flags]
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in run.stderr
    return run.returncode, run.stdout + run.stderr


LARGE = {"text", "statements", "numbers", "lines", "rows"}  # seconds of CPU each


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in GENERATED]
)
def test_what_was_generated_is_read_in_bounds_or_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(GENERATED[name])
    status, said = run_check("made.py", cwd=tmp_path)
    assert status == (2 if name in REFUSED else 0), said
    assert ("try: " in said) == (name in REFUSED)


@pytest.mark.parametrize("script", ["/dev/zero", "/dev/full", "fifo", ".", "sparse.py"])
def test_what_is_no_script_is_not_read(script: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "sparse.py").open("wb") as file:
        file.truncate(1 << 30)
    status, said = run_check(script, cwd=tmp_path)
    assert status == 2
    assert "try: " in said


def test_an_input_with_folders_in_folders_is_looked_into(tmp_path: Path) -> None:
    """With a stack of 250 frames and 300 folders, so that the test is quick; Python's own stack has a thousand."""
    (tmp_path / "/".join("d" * 300)).mkdir(parents=True)
    shallow = (
        "import sys; from oomguard.errors import BadInput; from oomguard.script_analysis import input_sample as at;"
    )
    shallow += "import oomguard.preparation.reading.sources; sys.setrecursionlimit(250)\n"
    shallow += "try:\n    at.sample_input('d')\nexcept BadInput as error:\n    print(error)\n"
    run = subprocess.run([sys.executable, "-c", shallow], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "no text" in run.stdout, run.stderr


def test_a_shortened_table_leaves_the_lines_and_the_rest_as_they_are(tmp_path: Path) -> None:
    before = "import json\nnames = [\n" + "    'name',  # 'quoted'\n" * 500 + "    'last',\n]\n"
    source = before + "rows = []\nfor line in open('in.txt'):\n    rows.append(line)\n"
    short = shorten_tables(source.encode())
    assert short.count(b"\n") == source.count("\n")
    assert [type(node) for node in ast.parse(short).body] == [type(node) for node in ast.parse(source).body]
    (tmp_path / "a.py").write_text(source)
    found = check_script(tmp_path / "a.py").findings
    assert [(one.line, one.code) for one in found] == [(source.count("\n"), "rows.append(line)")]


@pytest.mark.parametrize("few", ["x = [1, 2, 3]\n", "f('a', 'b')\n", "x = {'a': 1}\n", "x = '1, 2, 3, '\n"])
def test_usual_code_is_not_touched(few: str) -> None:
    assert shorten_tables(few.encode() * 100) == few.encode() * 100
