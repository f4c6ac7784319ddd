"""The text of the lines that stacks name: what was being done says more than a number.

A line is given only where the file is the one that the process ran: as it sees it, in its own mount namespace and below
its own root; and not written or put there since the process began.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from oomguard.kernel.proc import ProcFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from oomguard.kernel.model import ProcessStack, StackFrame

_LONGEST_FILE = 4 << 20
_LONGEST_LINE = 160
_MOST_FILES = 500
_MOST_LINKS = 40
_GENERATIONS = 16
# What cloudpickle calls the file of each function that it sends to another process (3.1; joblib, dask and ray use it).
_RENAMED = "<dynamic-code>"
_TICKS = os.sysconf("SC_CLK_TCK")
_CLOCK_SLACK_SECONDS = 0.02  # a tick, and the clock of a file system


class SourceFiles:
    """Reads the sources of running processes, each file once. Raises: nothing.

    A process chooses what it calls its files, so only regular files named .py of a usual size are opened.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        """Of the processes of the machine at `root`."""
        self._proc = ProcFiles(root)
        self._lines: dict[tuple[int, str], list[str]] = {}
        self._began: dict[int, float] = {}
        self._scripts: dict[int, list[str]] = {}

    def line(self, pid: int, file: str, line: int) -> str:
        """The text of a line of code that process `pid` runs; "" if it is not known."""
        lines = self._read(pid, file)
        return lines[line - 1].strip()[:_LONGEST_LINE] if 0 < line <= len(lines) else ""

    def file_of(self, pid: int, file: str, line: int, function: str) -> str:
        """The file that a frame is of: for a function that cloudpickle renamed, the script that defines it there."""
        if file != _RENAMED:
            return file
        for script in self._scripts_of(pid):
            if defines(self._read(pid, script), line, function):
                return script
        return file

    def named(self, pid: int, frames: Sequence[tuple[str, int, str]] | None) -> list[tuple[str, int, str]] | None:
        """A stack of (file, line, function) with the files of its renamed frames."""
        if frames is None:
            return None
        return [(self.file_of(pid, *frame), frame[1], frame[2]) for frame in frames]

    def in_stack(self, stack: ProcessStack) -> ProcessStack:
        """The stack with the files of its renamed frames, and the text of each line that is known."""
        return replace(stack, frames=tuple(self._in_frame(stack.pid, frame) for frame in stack.frames))

    def _in_frame(self, pid: int, frame: StackFrame) -> StackFrame:
        file = self.file_of(pid, frame.file, frame.line, frame.function)
        return replace(frame, file=file, source=self.line(pid, file, frame.line) or frame.source)

    def _read(self, pid: int, file: str) -> list[str]:
        if not file.endswith(".py") or "\0" in file:
            return []
        key = (pid, file)
        if key not in self._lines:
            if len(self._lines) >= _MOST_FILES:
                self._lines.clear()
            self._lines[key] = self._lines_of(pid, file)
        return self._lines[key]

    def _lines_of(self, pid: int, file: str) -> list[str]:
        path = os.path.join(self._proc.link(f"{pid}/cwd") or "/", file)  # noqa: PTH118 - a path of another root
        try:
            fd = os.open(self._as_it_sees(pid, path), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            return []
        with open(fd, encoding="utf-8", errors="replace") as text:  # noqa: PTH123 - a descriptor, opened so that a pipe or device cannot block
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST_FILE:
                return []
            if status.st_ctime > self._first_began(pid) + _CLOCK_SLACK_SECONDS:
                return []  # edited, or another file was put in its place: what runs is the old one
            return text.read().splitlines()

    def _as_it_sees(self, pid: int, path: str) -> str:
        """The path by which this process gets at what `path` is to `pid`. Raises: OSError."""
        root = self._proc.path(f"{pid}/root")
        same = os.path.samestat(os.stat(f"{root}/"), os.stat("/"))  # noqa: PTH116 - as above
        if same and self._proc.link(f"{pid}/ns/mnt") == self._proc.link("self/ns/mnt"):
            return path
        return root + resolved_below(root, path)

    def _first_began(self, pid: int) -> float:
        """When the first of the processes began that this one was forked from: it may have what that had read."""
        if pid not in self._began:
            image, first = self._proc.read(f"{pid}/auxv"), self._proc.stat(pid)
            for _ in range(_GENERATIONS):
                before = self._proc.stat(first.parent_pid) if first is not None else None
                if before is None or not image or self._proc.read(f"{before.pid}/auxv") != image:
                    break  # exec gives each its own auxiliary vector
                first = before
            now = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
            self._began[pid] = now + (first.start_ticks / _TICKS if first is not None else 0.0)
        return self._began[pid]

    def _scripts_of(self, pid: int) -> list[str]:
        """The scripts that the process and its ancestors were started with, its own first."""
        if pid not in self._scripts:
            found: list[str] = []
            each = pid
            for _ in range(_GENERATIONS):
                stat_of = self._proc.stat(each)
                if stat_of is None or each <= 1:
                    break
                cwd = self._proc.link(f"{each}/cwd")
                scripts = [os.path.join(cwd, part) for part in self._proc.command(each)[1:] if part.endswith(".py")]  # noqa: PTH118 - as above
                found += scripts[:1]
                each = stat_of.parent_pid
            self._scripts[pid] = found
        return self._scripts[pid]


def defines(lines: list[str], line: int, function: str) -> bool:
    """Whether that line of a source is in a function of that name: below its `def`, and further in than it."""
    if not 0 < line <= len(lines):
        return False
    name = function.rpartition(".")[2]
    if name.startswith("<"):  # <lambda>, <listcomp>: in the line itself
        inner = {"<lambda>": "lambda", "<listcomp>": "for", "<genexpr>": "for", "<dictcomp>": "for", "<setcomp>": "for"}
        return inner.get(name, "\n") in lines[line - 1]
    head = re.compile(rf"(\s*)(?:async\s+)?def\s+{re.escape(name)}\b")
    for number in range(line - 1, -1, -1):
        found = head.match(lines[number])
        if found is not None:
            within = (each for each in lines[number + 1 : line] if each.strip() and not each.lstrip().startswith("#"))
            return all(len(each) - len(each.lstrip()) > len(found[1]) or each.lstrip()[0] in ")]}" for each in within)
    return False


def resolved_below(root: str, path: str) -> str:
    """Follow the links in `path` as a process does whose root is `root`; the answer has none. Raises: OSError."""
    done: list[str] = []
    parts = list(reversed(PurePosixPath(path).parts[1:]))
    links = 0
    while parts:
        part = parts.pop()
        if part == "..":
            del done[-1:]
            continue
        try:
            target = os.readlink("/".join([root, *done, part]))  # noqa: PTH115 - a path of another root
        except OSError:
            done.append(part)  # no link; if it is not there, opening it says so
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(errno.ELOOP, "too many links", path)
        if target.startswith("/"):
            done = []
        parts += [one for one in reversed(PurePosixPath(target).parts) if one != "/"]
    return "/" + "/".join(done)


def with_source_lines(stacks: Iterable[ProcessStack], sources: SourceFiles | None = None) -> tuple[ProcessStack, ...]:
    """Add the source lines that can be read, and the files of renamed functions. Raises: nothing."""
    sources = sources if sources is not None else SourceFiles()
    return tuple(sources.in_stack(stack) for stack in stacks)


def read_source_line(pid: int, file: str, line: int, *, root: Path = Path("/")) -> str:
    """The text of a line of code that process `pid` runs; "" if it is not known. Raises: nothing."""
    return SourceFiles(root).line(pid, file, line)
