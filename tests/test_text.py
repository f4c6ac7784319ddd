"""What others wrote is shown, not obeyed."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.text import as_root, printable, shell_word


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("train 1.txt", "train 1.txt"),
        ("Übung-漢字-😀.txt", "Übung-漢字-😀.txt"),
        ("a\nb\t\x1b[31m", r"a\nb\t\x1b[31m"),
        ("a\u202etxt.exe", r"a\u202etxt.exe"),
        ("caf\udce9.txt", r"caf\udce9.txt"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(exclude_categories=[])))
def test_the_result_can_always_be_printed(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()


@pytest.mark.parametrize(
    "name", ["a b", "esc\x1b[31m", "it's\n", "caf\udce9", "back\\slash\t", "-x", "漢字", "$(rm)\x07"]
)
def test_a_word_to_paste_is_that_word_to_a_shell(name: str) -> None:
    word = shell_word(name)
    assert word.isprintable()
    got = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True).stdout
    assert got == os.fsencode(name)


def test_a_line_for_root_works_in_a_virtual_environment(tmp_path: Path) -> None:
    """sudo's own search path is not the user's: the line names the whole path of what the user's shell finds."""
    (tmp_path / "sudo").write_text('#!/bin/sh\nPATH=/usr/bin:/bin exec "$@"\n')
    (tmp_path / "oomguard").write_text('#!/bin/sh\necho "ran $@"\n')
    for tool in tmp_path.iterdir():
        tool.chmod(0o755)
    run = subprocess.run(
        ["sh", "-c", as_root("swap status")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "ran swap status\n"
