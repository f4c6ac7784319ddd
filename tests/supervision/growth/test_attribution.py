"""Whose line a stack's growth is charged to. The paths are those of Debian, conda, uv, venvs and Fedora."""

from __future__ import annotations

import pytest

from oomguard.supervision.growth.line_growth import Line, charged_line

OWN = ("/home/u/prepare.py", 23, "load")


@pytest.mark.parametrize(
    "library",
    [
        "/usr/lib/python3.11/json/decoder.py",
        "/usr/lib/python3/dist-packages/numpy/core/numeric.py",
        "/usr/lib64/python3.13/csv.py",
        "/opt/conda/lib/python3.12/site-packages/pandas/io/parsers.py",
        "/home/u/.local/share/uv/python/cpython-3.12-linux/lib/python3.12/re/__init__.py",
        "/home/u/.venv/lib/python3.11/site-packages/datasets/arrow.py",
        "<frozen importlib._bootstrap>",
        "<string>",
        "<__array_function__ internals>",
    ],
)
def test_what_a_library_allocates_is_its_caller_s(library: str) -> None:
    frames = [(library, 5, "inner"), (library, 900, "outer"), OWN, ("/home/u/main.py", 3, "<module>")]
    assert charged_line(frames, "python") == Line(*OWN)


def test_the_innermost_own_line() -> None:
    assert charged_line([("own.py", 3, "f"), OWN], "python") == Line("own.py", 3, "f")


def test_a_program_on_the_command_line() -> None:
    """python -c: its frames are "<string>", whatever library is below."""
    frames = [
        ("/usr/lib/python3.11/json/decoder.py", 5, "decode"),
        ("<string>", 2, "__init__"),
        ("<string>", 1, "<module>"),
    ]
    assert charged_line(frames, "python") == Line("<string>", 1, "<module>")


def test_a_comprehension_is_the_line_that_runs_it() -> None:
    frames = [("own.py", 8, "load.<locals>.<genexpr>"), ("own.py", 8, "load"), OWN]
    assert charged_line(frames, "python") == Line("own.py", 8, "load")
    elsewhere = [("own.py", 3, "<lambda>"), ("own.py", 8, "load")]
    assert charged_line(elsewhere, "python") == Line("own.py", 3, "<lambda>")
    assert charged_line([("own.py", 8, "<module>")], "python") == Line("own.py", 8, "<module>")


def test_nothing_but_a_library() -> None:
    """python -m json.tool."""
    json = "/usr/lib/python3.11/json"
    frames = [(f"{json}/decoder.py", 5, "decode"), (f"{json}/tool.py", 60, "main"), ("<frozen runpy>", 88, "_run_code")]
    assert charged_line(frames, "python") == Line(f"{json}/tool.py", 60, "main")


def test_no_stack() -> None:
    for frames in ([], [("<frozen importlib._bootstrap>", 1, "_load")]):
        assert charged_line(frames, "sort") == Line("sort", 0, "")
