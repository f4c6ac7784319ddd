"""What a script will hold in memory, line by line, and whether it fits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

from oomguard.text import Drawn

Verdict = Literal["fits", "does not fit", "cannot say"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line that holds what grows with the input. Units: bytes, or bytes for each byte of text."""

    line: int
    code: str
    rule: str
    why: str
    do: str
    held_per_byte: float
    peak_per_byte: float  # while it is being made
    disk_per_byte: float
    fixed_bytes: int  # whatever the input
    held_bytes: int | None  # for the input that was named
    peak_bytes: int | None
    each_file: bool  # of each of many files, one after the other
    file: str  # of the script's own modules; "": the script itself
    function: str  # "": at the top level
    cell: int | None  # of a notebook; `line` is then counted in it
    called: bool  # False: in a function that the script never calls, so that it does not count
    bytes_per_pair: float  # of documents, where it grows with the square of their count

    @property
    def holds_memory(self) -> bool:
        """Whether it counts: disk alone does not, and what never runs does not."""
        return self.called and bool(self.peak_per_byte or self.fixed_bytes or self.bytes_per_pair)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnseenLine:
    """A line that cannot be seen through, so that nobody can say what it holds."""

    line: int
    code: str
    why: str
    file: str
    function: str
    cell: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedInput:
    """The input that was named. Units: bytes."""

    path: str
    disk_bytes: int
    text_bytes: int
    bytes_per_token: float
    widest_character: str
    character_bytes: int
    files: int
    largest_file_bytes: int  # of text, about
    documents: int  # about


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedWorkers:
    """Processes that the script starts, as its text says."""

    line: int
    file: str
    code: str
    count: int | None  # None: only running shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptCheck(Drawn):
    """What a script holds at most, and whether this machine has as much. Units: bytes."""

    _screen: ClassVar[str] = "oomguard.script_analysis.screens:render"

    script: str
    verdict: Verdict
    input: CheckedInput | None
    findings: tuple[Finding, ...]
    unseen: tuple[UnseenLine, ...]
    assumptions: tuple[UnseenLine, ...]  # what must hold so that the verdict does
    peak_per_byte: float  # all that lives at one moment
    peak_line: int
    peak_file: str
    peak_per_byte_of_each_file: float  # of the one of many files that is being worked on, in each process
    fixed_bytes: int  # besides: the interpreter, its libraries, buffers of a fixed size, in all processes
    imports_counted: tuple[str, ...]
    imports_not_counted: tuple[str, ...]
    workers: tuple[StartedWorkers, ...]
    processes: int | None  # at most at once, the script's own among them; None: only running shows it
    needed_bytes: int | None  # None: no input was named
    available_bytes: int
    limited_by: str
    fits: bool | None  # as the verdict; None: it cannot be said, or it depends on an input that was not named
    short_bytes: int  # by how much it does not fit
    largest_input_bytes: int | None  # of text, that would fit; None: nothing in it grows with the input

    @property
    def counted_findings(self) -> tuple[Finding, ...]:
        """Those that hold memory in what runs."""
        return tuple(finding for finding in self.findings if finding.holds_memory)

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        return {"schema": "oomguard.check/2", **asdict(self)}
