"""What is noted of a script's lines: what was found, what is assumed, and what cannot be seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.findings import LineFinding

if TYPE_CHECKING:
    import ast

_MOST_OPAQUE = 200


class Notes:
    """By line, as the script is gone through."""

    def __init__(self) -> None:
        self.findings: dict[tuple[int, str], LineFinding] = {}
        self.missing_files = 0  # `if not os.path.exists(corpus):`, of which this is the body
        self.fetched_lines: dict[int, str] = {}  # of such bodies: nobody can tell what they hold
        self.opaque_lines: dict[int, str] = {}  # that cannot be seen through, and why
        self.readers: set[int] = set()  # lines where the input is read
        self.outsiders: dict[int, str] = {}  # calls of libraries that nothing is known of, by line
        self.assumptions: dict[int, str] = {}
        self.reached = True  # False: going through a function that is never called

    def report(
        self, rule: str, node: ast.AST, kind: str, *, held: float, peak: float = 0.0, disk: float = 0.0,
        fixed: float = 0.0, each: bool = False, squared: float = 0.0,
    ) -> None:  # fmt: skip
        """Write a finding down; of two at one line, the larger."""
        line = getattr(node, "lineno", 0)
        found = LineFinding(
            line=line, rule=rule, kind=kind, held=held, peak=max(held, peak), disk=disk, fixed=fixed, each=each,
            reached=self.reached, squared=squared,
        )  # fmt: skip
        known = self.findings.get((line, rule))
        if known is None or (found.peak, found.disk) > (known.peak, known.disk):
            self.findings[line, rule] = found
        elif self.reached and not known.reached:
            self.findings[line, rule] = replace(known, reached=True)

    def read_at(self, node: ast.AST) -> None:
        """The input is read here."""
        if self.reached:
            self.readers.add(getattr(node, "lineno", 0))

    def assume_small(self, node: ast.AST) -> None:
        """The file that is read whole here is no corpus, by its name."""
        self.assume(node, "this file is small, as its name suggests")

    def assume(self, node: ast.AST, what: str) -> None:
        """The verdict holds only if this does."""
        if self.reached and len(self.assumptions) < _MOST_OPAQUE:
            self.assumptions.setdefault(getattr(node, "lineno", 0), what)

    def cannot_see(self, node: ast.AST, why: str) -> None:
        """Nobody can tell what this line holds."""
        self.cannot_see_line(getattr(node, "lineno", 0), why)

    def cannot_see_line(self, line: int, why: str) -> None:
        """Nobody can tell what the line with this number holds."""
        if self.reached and len(self.opaque_lines) < _MOST_OPAQUE:
            lines = self.fetched_lines if self.missing_files else self.opaque_lines
            lines.setdefault(line, why)
