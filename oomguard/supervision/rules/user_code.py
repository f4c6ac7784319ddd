"""Whose code a frame is: the user's own files, or what was installed. And which of several threads is to be shown."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from oomguard.kernel.model import ProcessStack, StackFrame

# An interpreter's own, what was installed into one, and the scripts that an installation puts beside it.
_LIBRARY = re.compile(r"/(site|dist)-packages/|/lib(64)?/python3|/bin/[^/.]+$|/oomguard/supervision/")
_CELL = re.compile(r"<ipython-input-|<stdin>$")
_HELPER = re.compile(r"resource_tracker|multiprocessing\.forkserver|semaphore_tracker")
_ALIKE = 0.75  # of the largest process: so much makes a process about as large
# What stands between a waiting thread and the kernel, as these files of Python's library name it.
_WAITING = re.compile(
    r"/(threading|queue|selectors|socket|ssl|sched|multiprocessing/(connection|queues|synchronize|popen_\w+)"
    r"|concurrent/futures/(thread|process|_base))\.py$"
)
# A text's join(), a table's and a query's select() and join() make something: a wait is known by what it is given.
_ONLY_WAITS = re.compile(
    r"""(await\ )?(
        [\w.]*\bsleep\([\w\s.,=*/+()-]*\)
        |[\w.]*\b(wait|acquire)\([\w\s.,=*/+-]*\)
        |[\w.]*\bjoin\((timeout=[\w.]*|[\d.]*)\)
        |([\w.]*\.)?select\.select\([\w\s.,=*/+\[\]-]*\)
        |(\w+\ =\ )?[\w.]*(selector\w*|poller)\.(select|poll)\([\w\s.,=]*\)
        |[\w.]*\bsend(all)?\([\w.]*\)
    )(\s*\#.*)?$""",
    re.VERBOSE,
)


def is_library(file: str) -> bool:
    """Whether a file of a traceback is not the user's own; made-up names in <> are not either, but for a notebook's."""
    if file.startswith("<"):
        return _CELL.match(file) is None
    return _LIBRARY.search(file) is not None


def user_place(frames: Sequence[tuple[str, int, str]]) -> int | None:
    """The index of the user's innermost line in a stack of (file, line, function), innermost first.

    A comprehension on the line that runs it is no function of its own to people. A program that was given with -c is
    "<string>", as is code that a library makes at run time: so that counts only where there is nothing else.
    None: all of it is a library's.
    """
    own = [place for place, frame in enumerate(frames) if not is_library(frame[0])]
    for number, place in enumerate(own):
        file, line, function = frames[place]
        around = own[number + 1] if number + 1 < len(own) else None
        if function.endswith(">") and around is not None and frames[around][:2] == (file, line):
            continue
        return place
    given = [place for place, frame in enumerate(frames) if frame[0] == "<string>"]
    return given[-1] if given else None


def user_frame(frames: Sequence[StackFrame]) -> StackFrame | None:
    """The user's innermost frame of a stack; None if all of it is a library's."""
    place = user_place([(frame.file, frame.line, frame.function) for frame in frames])
    return None if place is None else frames[place]


def with_users_line(
    frames: Sequence[tuple[str, int, str]], read_main: Callable[[], Sequence[tuple[str, int, str]]]
) -> Sequence[tuple[str, int, str]]:
    """A stack that is a library's own thread's, as below the line that the user's thread is in meanwhile.

    A pool takes results in from a thread of its own, for the line that asked for them.
    """
    if not frames or user_place(frames) is not None:
        return frames
    main = read_main()
    place = user_place(main)
    return frames if place is None else [*frames, *main[place:]]


def is_helper(command: Sequence[str]) -> bool:
    """Whether a process is one that multiprocessing or joblib starts beside its workers, and does no work."""
    return _HELPER.search(" ".join(command)) is not None


def waits(stack: ProcessStack) -> bool:
    """Whether a thread does nothing but wait for another, as far as its innermost frame tells."""
    return bool(stack.frames) and waits_in(stack.frames[0].file)


def waits_in(file: str) -> bool:
    """Whether a thread whose innermost frames are in this file does nothing but wait."""
    return _WAITING.search(file) is not None


def only_waits(source: str) -> bool:
    """Whether a line of source is nothing but a call that waits: what a process grew by meanwhile, it did before."""
    return _ONLY_WAITS.match(source) is not None


def first_shown(
    stacks: Sequence[ProcessStack],
    working: dict[int, int],
    grown: Sequence[tuple[str, int]],
    sizes: Mapping[int, int] = MappingProxyType({}),
) -> list[ProcessStack]:
    """The stacks of each process in the order that people want to see them; the processes stay in theirs.

    First the thread in which memory grew; then the one that ran last (`working`: pid -> thread); then those that do
    not wait; and of these, those that are in the user's own code. Of the processes, those that work go before those
    that only wait if they are about as large (`sizes`, by pid): of workers alike, some have done their part.
    """
    lines = set(grown)
    order: dict[int, int] = {}
    for stack in stacks:
        order.setdefault(stack.pid, len(order))

    def rank(stack: ProcessStack) -> tuple[int, bool, bool, bool, bool]:
        grew = any((frame.file, frame.line) in lines for frame in stack.frames)
        ran = working.get(stack.pid) == stack.thread
        return order[stack.pid], not grew, not ran, waits(stack), user_frame(stack.frames) is None

    shown = sorted(stacks, key=rank)
    leading = {stack.pid: stack for stack in reversed(shown)}
    largest = max((sizes.get(pid, 0) for pid in leading), default=0)

    def comes_later(stack: ProcessStack) -> bool:
        if not largest:
            return False
        return sizes.get(stack.pid, 0) < _ALIKE * largest or _is_idle(leading[stack.pid])

    return sorted(shown, key=comes_later)


def _is_idle(stack: ProcessStack) -> bool:
    innermost = stack.frames[0] if stack.frames else None
    return innermost is not None and (waits(stack) or only_waits(innermost.source))
