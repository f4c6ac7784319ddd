"""What the memory model writes down: a line that holds, the peak, a loop that runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.growth import Growth
    from oomguard.script_analysis.interpreter.values import AbstractValue

_GIGABYTE = 1e9  # bytes whatever the input count as if the input were one, so that the two can be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFinding:
    """A line that holds a part of the input that grows with the input."""

    line: int
    rule: str
    kind: str  # what it holds
    held: float  # bytes for each byte of the input, once it is done
    peak: float  # meanwhile
    disk: float = 0.0  # bytes of disk for each byte of the input
    fixed: float = 0.0  # bytes of memory whatever the input
    each: bool = False  # of each of many files, one after the other
    squared: float = 0.0  # bytes for each pair of documents
    reached: bool = True  # False: in a function that the script never calls


@dataclass(slots=True)
class Peak:
    """The most that lived at one moment."""

    per_byte: float = 0.0
    fixed: float = 0.0  # bytes besides, at the same moment
    line: int = 0

    def raise_to(self, per_byte: float, fixed: float, line: int) -> None:
        """Remember this moment, if more lives now."""
        if per_byte + fixed / _GIGABYTE > self.per_byte + self.fixed / _GIGABYTE:
            self.per_byte, self.fixed, self.line = per_byte, fixed, line


@dataclass(eq=False, slots=True)
class Loop:
    """A loop that runs."""

    number: int
    fraction: float  # of the input that it goes over; more than 0 makes it a loop over the input
    bounded: bool = False  # it stops after a number of items
    each: bool = False  # it goes over one of many files
    count: float = 0.0  # how many items pass by, for each byte of the input
    grown: list[Growth] = field(default_factory=list)
    flushed: list[AbstractValue] = field(default_factory=list)
    limits: dict[int, float] = field(default_factory=dict)  # bytes at which what is flushed is, where they are many
    counters: set[str] = field(default_factory=set)  # the names that it counts with
