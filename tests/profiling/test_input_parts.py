"""A program on a part of its input: in the file's place, or given as an argument."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from oomguard.profiling.input_parts import why_not_in_place, with_part_in_place

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_reads_the_part_where_the_file_is(tmp_path: Path) -> None:
    """And nobody else does; its exit status is its own."""
    whole, part = tmp_path / "whole.txt", tmp_path / "part.txt"
    whole.write_text("one\ntwo\n")
    part.write_text("one\n")
    if why := why_not_in_place(str(whole)):
        pytest.skip(f"this machine mounts nothing over a file for one command: {why}")
    command = ("sh", "-c", f'cat "{whole}"; exit 7')
    ran = subprocess.run(
        with_part_in_place(command, str(whole), str(part)), capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.returncode) == ("one\n", 7)
    assert whole.read_text() == "one\ntwo\n"


def test_a_command_that_is_not_there_is_said_as_a_shell_says_it(tmp_path: Path) -> None:
    whole = tmp_path / "whole.txt"
    whole.write_text("one\n")
    if why := why_not_in_place(str(whole)):
        pytest.skip(f"this machine mounts nothing over a file for one command: {why}")
    command = with_part_in_place((str(tmp_path / "none"),), str(whole), str(whole))
    assert subprocess.run(command, check=False).returncode == 127
