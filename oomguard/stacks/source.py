"""The text of the lines that stacks name: what was being done says more than a number."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.kernel.proc.files import ProcFiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.kernel.model import ProcessStack, StackFrame

_LONGEST_FILE = 4 << 20
_LONGEST_LINE = 160
_MOST_FRAMES = 8  # of a stack, innermost first: the rest is seldom looked at


def with_source_lines(stacks: Iterable[ProcessStack], *, root: Path = Path("/")) -> tuple[ProcessStack, ...]:
    """Add the source lines that can be read. Raises: nothing.

    A process chooses what it calls its files, so only regular files named .py of a usual size are opened.
    """
    proc = ProcFiles(root)
    cache: dict[Path, list[str]] = {}
    return tuple(
        replace(
            stack,
            frames=(
                *(_with_source(frame, stack.pid, proc, cache) for frame in stack.frames[:_MOST_FRAMES]),
                *stack.frames[_MOST_FRAMES:],
            ),
        )
        for stack in stacks
    )


def read_source_line(pid: int, file: str, line: int, *, root: Path = Path("/")) -> str:
    """The text of a line of code that process `pid` runs; "" if it cannot be read. Raises: nothing."""
    return _source(file, line, pid, ProcFiles(root), {})


def _with_source(frame: StackFrame, pid: int, proc: ProcFiles, cache: dict[Path, list[str]]) -> StackFrame:
    source = _source(frame.file, frame.line, pid, proc, cache)
    return replace(frame, source=source) if source else frame


def _source(file: str, line: int, pid: int, proc: ProcFiles, cache: dict[Path, list[str]]) -> str:
    if not file.endswith(".py") or "\0" in file:
        return ""
    path = Path(proc.link(f"{pid}/cwd") or "/", file)
    if path not in cache:
        cache[path] = _read_lines(path)
    lines = cache[path]
    return lines[line - 1] if 0 < line <= len(lines) else ""


def _read_lines(path: Path) -> list[str]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return []
    with open(fd, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - a descriptor, opened so that a pipe or device cannot block
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST_FILE:
            return []
        return [line.strip()[:_LONGEST_LINE] for line in file]
