"""What was seen of a process at one moment: its memory, its stacks, the files it reads."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFrame:
    """One call. The texts are the process's own: hostile until shown through printable()."""

    file: str
    line: int
    function: str
    arguments: dict[str, str]  # name -> a short repr() of the value
    locals: dict[str, str]  # the other local variables, the same way
    source: str = ""  # the line's text, where its file is there to read


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStack:
    """The calls that one thread was in, innermost first."""

    pid: int
    thread: int
    language: str  # "python"
    frames: tuple[StackFrame, ...]
    read_by: str  # "pystack", "py-spy", "faulthandler"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInput:
    """A regular file that a process has open to read, and how far it is in it. Units: bytes."""

    pid: int
    path: str
    position: int  # of the file as it lies on disk: of a compressed one, compressed bytes
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """One process of a tree. Units: bytes."""

    pid: int
    parent_pid: int
    name: str
    command: tuple[str, ...]
    unreclaimable: int  # its share: shared pages divided among the sharers, where `exact`
    exact: bool  # False: an upper bound, shared pages count whole
    rss: int
    anon: int
    shmem: int
    file: int  # page cache it maps: in `rss`, and never a reason to stop anything
    swap: int
    peak_rss: int
