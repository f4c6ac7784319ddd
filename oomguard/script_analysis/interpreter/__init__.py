"""What in a Python script holds memory that grows with its input; found by reading it, never by running it."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.memory_model import Ledger, Trap
from oomguard.script_analysis.interpreter.statements import Interpreter

if TYPE_CHECKING:
    from oomguard.script_analysis.text_shape import TextShape

__all__ = ["Trap", "Traps", "find_traps"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traps:
    """What a script holds. The peak is of all that lives at one moment, which may be less than the traps' sum."""

    traps: tuple[Trap, ...]  # by line
    peak: float  # bytes for each byte of the input
    peak_fixed: float  # bytes besides
    peak_line: int


def find_traps(source: bytes, shape: TextShape) -> Traps:
    """Find what grows with the input, of which `shape` says what it is like.

    Raises: SyntaxError for what is no Python (ValueError for a NUL in it); RecursionError for too deep a nesting.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the script's own string escapes
        module = ast.parse(source)
    ledger = Ledger(shape)
    Interpreter(ledger).run(module)
    traps = sorted(ledger.traps.values(), key=lambda trap: (trap.line, trap.rule))
    return Traps(traps=tuple(traps), peak=ledger.peak, peak_fixed=ledger.peak_fixed, peak_line=ledger.peak_line)
