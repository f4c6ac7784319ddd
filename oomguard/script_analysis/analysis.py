"""What in a Python script holds memory that grows with its input; found by reading it, never by running it."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.memory_model import LineFinding, MemoryModel
from oomguard.script_analysis.interpreter.statements import Interpreter
from oomguard.script_analysis.libraries.registry import LIBRARIES

if TYPE_CHECKING:
    from oomguard.script_analysis.text_shape import TextShape

__all__ = ["Analysis", "LineFinding", "analyze_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What a script holds. The peak is of all that lives at one moment, which may be less than the findings' sum."""

    findings: tuple[LineFinding, ...]  # by line
    peak: float  # bytes for each byte of the input
    peak_fixed: float  # bytes besides
    peak_line: int


def analyze_source(source: bytes, shape: TextShape) -> Analysis:
    """Find what grows with the input, of which `shape` says what it is like.

    Raises: SyntaxError for what is no Python (ValueError for a NUL in it); RecursionError for too deep a nesting.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the script's own string escapes
        module = ast.parse(source)
    memory = MemoryModel(shape)
    Interpreter(memory, LIBRARIES).run(module)
    findings = sorted(memory.findings.values(), key=lambda finding: (finding.line, finding.rule))
    return Analysis(
        findings=tuple(findings), peak=memory.peak.per_byte, peak_fixed=memory.peak.fixed, peak_line=memory.peak.line
    )
