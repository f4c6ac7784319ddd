"""What all of an input will need, said from a part of it: by how far it was read, or by runs on its beginnings."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.live.profiled import KEEPS_LINES, lines_of_text, oomguard, profile, python

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.usefixtures("nothing_is_left")]


@pytest.mark.alone
def test_the_forecast_is_made_from_how_far_the_input_was_read(tmp_path: Path) -> None:
    text = lines_of_text(tmp_path, 400_000)
    whole, facts = profile(tmp_path, *python(tmp_path, KEEPS_LINES, str(text), "400000"))
    part, made = profile(tmp_path, *python(tmp_path, KEEPS_LINES, str(text), "120000"))
    assert (whole.returncode, part.returncode) == (0, 0)
    forecast = made["forecast"]
    assert 0.2 < forecast["read_bytes"] / forecast["input_bytes"] <= 0.31
    assert forecast["peak_unreclaimable"] == pytest.approx(facts["peak_unreclaimable"], rel=0.10)
    assert forecast["fits"] is True


@pytest.mark.alone
def test_what_was_read_whole_has_no_forecast(tmp_path: Path) -> None:
    text = lines_of_text(tmp_path, 200_000)
    program = "import sys, time\ntext = open(sys.argv[1]).read()\ntime.sleep(0.3)\nopen(sys.argv[1]).read(9)\n"
    _, facts = profile(tmp_path, *python(tmp_path, program, str(text)))
    assert facts["forecast"] is None or facts["forecast"]["peak_unreclaimable"] is None


@pytest.mark.alone
def test_the_ladder_foresees_what_reads_its_input_twice(tmp_path: Path) -> None:
    text = lines_of_text(tmp_path, 640_000)
    program = "import sys\ntext = open(sys.argv[1]).read()\nwords = text.split('\\n')\n"
    command = python(tmp_path, program, str(text))
    _, made = profile(tmp_path, "--ladder", "input.txt", *command)
    _, facts = profile(tmp_path, *command)
    assert made["forecast"]["method"] == "ladder"
    assert made["forecast"]["peak_unreclaimable"] == pytest.approx(facts["peak_unreclaimable"], rel=0.15)
    shown = json.loads(oomguard(tmp_path, "report", "r.jsonl", "--json").stdout)
    assert shown["forecast"] is None or shown["forecast"]["method"] != "ladder"  # r.jsonl is that of the last profile


@pytest.mark.alone
def test_the_ladder_puts_parts_in_the_place_of_a_file_that_the_program_names_itself(tmp_path: Path) -> None:
    text = lines_of_text(tmp_path, 640_000)
    program = "lines = open('input.txt').readlines()\nprint(len(lines))\n"
    done, made = profile(tmp_path, "--ladder", "input.txt", *python(tmp_path, program))
    if "cannot be put in its place" in done.stderr:
        pytest.skip(done.stderr)
    assert done.stdout.split() == ["40001", "80001", "160001"]  # the last line is whole
    _, facts = profile(tmp_path, *python(tmp_path, program))
    assert made["forecast"]["peak_unreclaimable"] == pytest.approx(facts["peak_unreclaimable"], rel=0.15)
    assert made["command"][1:] == ["job.py"]
    assert len(text.read_text().splitlines()) == 640_000


def test_a_ladder_that_fails_says_so(tmp_path: Path) -> None:
    text = lines_of_text(tmp_path, 1000)
    done, facts = profile(tmp_path, "--ladder", "input.txt", "--", "sh", "-c", "exit 3", str(text))
    assert (done.returncode, facts["forecast"]["peak_unreclaimable"]) == (3, None)
    (tmp_path / "binary").write_bytes(b"\0" * 100)
    binary = oomguard(tmp_path, "profile", "--ladder", "binary", "--", "cat", "binary")
    assert (binary.returncode, "is not text" in binary.stderr) == (125, True)


def test_what_has_no_beginning_is_refused_and_waited_for_by_nobody(tmp_path: Path) -> None:
    """A pipe would be waited for for ever by whoever opens it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    for name in ("pipe", "empty", "/dev/null", "."):
        done = oomguard(tmp_path, "profile", "--ladder", name, "--", "cat", name)
        assert done.returncode == 125, name
        assert ("is empty" if name == "empty" else "not a regular file") in done.stderr, done.stderr
    reader = subprocess.Popen(["cat", "pipe"], cwd=tmp_path, stdout=subprocess.PIPE)
    with reader:
        assert oomguard(tmp_path, "profile", "-o", "pipe", "--", "true").returncode == 0
        recorded, _ = reader.communicate(timeout=30)
    assert recorded.startswith(b'{"recording":')
