"""What in a Python script holds memory that grows with its input; found by reading it, never by running it."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.preparation.reading.text_shape import ENGLISH
from oomguard.script_analysis.interpreter.findings import LineFinding
from oomguard.script_analysis.interpreter.memory_model import MemoryModel
from oomguard.script_analysis.interpreter.statements import Interpreter
from oomguard.script_analysis.libraries.registry import LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.reading.text_shape import TextShape

__all__ = ["Analysis", "LineFinding", "analyze_source", "analyze_tree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What a script holds. The peak is of all that lives at one moment, which may be less than the findings' sum."""

    findings: tuple[LineFinding, ...]  # by line
    peak: float  # bytes for each byte of the input
    peak_fixed: float  # bytes besides
    peak_line: int
    peak_each: float  # bytes for each byte of the one of many files that is being worked on
    peak_each_line: int
    unseen: tuple[tuple[int, str], ...]  # lines that cannot be seen through, and why
    fetched: tuple[tuple[int, str], ...]  # the same, which run only where a file is missing
    readers: tuple[int, ...]  # lines where the input is read
    outsiders: tuple[tuple[int, str], ...]  # calls of libraries that nothing is known of
    assumptions: tuple[tuple[int, str], ...]
    runs: bool  # False: it only defines functions and classes


def analyze_source(source: bytes, shape: TextShape) -> Analysis:
    """Find what grows with the input, of which `shape` says what it is like.

    Raises: SyntaxError for what is no Python (ValueError for a NUL in it); RecursionError for too deep a nesting.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the script's own string escapes
        return analyze_tree(ast.parse(source), shape)


def analyze_tree(
    module: ast.Module,
    shape: TextShape | None = None,
    find_module: Callable[[str, int], ast.Module | None] | None = None,
) -> Analysis:
    """Find the same in a parsed script; `find_module` gives the modules of its own that it imports, by name and line.

    Without a shape, English web text is assumed.

    Raises: RecursionError for too deep a nesting.
    """
    memory = MemoryModel(shape or ENGLISH)
    interpreter = Interpreter(memory, LIBRARIES, find_module)
    interpreter.run(module)
    return Analysis(
        findings=tuple(sorted(memory.findings.values(), key=lambda finding: (finding.line, finding.rule))),
        peak=memory.peak.per_byte,
        peak_fixed=memory.peak.fixed,
        peak_line=memory.peak.line,
        peak_each=memory.peak_each.per_byte,
        peak_each_line=memory.peak_each.line,
        unseen=tuple(sorted(memory.opaque_lines.items())),
        fetched=tuple(sorted(memory.fetched_lines.items())),
        readers=tuple(sorted(memory.readers)),
        outsiders=tuple(sorted(memory.outsiders.items())),
        assumptions=tuple(sorted(memory.assumptions.items())),
        runs=interpreter.runs,
    )
