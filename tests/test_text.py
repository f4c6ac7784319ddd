"""What others wrote is shown, not obeyed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.text import printable


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
