"""Lines of instructions, beside what the interpreter says of its own code."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.stacks.layout import line_of_instruction

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = ("argparse", "ast", "dataclasses", "inspect", "pickletools", "typing", "unittest.mock")


def codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


@pytest.mark.parametrize("name", MODULES)
def test_each_instruction_has_the_line_that_the_interpreter_says(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__file__ is not None
    with Path(module.__file__).open(encoding="utf-8") as file:
        whole = compile(file.read(), module.__file__, "exec")
    looked_at = 0
    for code in codes(whole):
        for number, (line, _, _, _) in enumerate(code.co_positions()):
            if number % 7 == 0:
                looked_at += 1
                assert line_of_instruction(code.co_linetable, code.co_firstlineno, number) == line, code
    assert looked_at > 100


@given(st.binary(max_size=60), st.integers(-5, 1 << 40), st.integers(-1, 1000))
def test_a_torn_table_raises_nothing(table: bytes, first: int, unit: int) -> None:
    line = line_of_instruction(table, first, unit)
    assert line is None or abs(line - first) < 1 << 40


def test_this_interpreter_has_such_tables() -> None:
    assert sys.version_info >= (3, 11)
