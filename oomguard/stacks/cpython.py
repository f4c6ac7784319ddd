"""Where a running Python program is, read from its memory 50 times faster than a whole stack with its variables.

For CPython 3.11 to 3.15 with its lock (GIL); nothing is stopped. The memory comes through /proc/PID/mem, a few hundred
bytes at a time: process_vm_readv() would give forked children copies of the pages that it reads (see pystack.py). The
program runs on meanwhile, so what is read may be torn: each number is bounded, and a stack that makes no sense is none.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from dataclasses import field
from pathlib import Path

from oomguard.formats.proc import parse_proc_stat
from oomguard.kernel.proc import ProcFiles
from oomguard.records import dataclass
from oomguard.stacks.layout import (
    DEBUG_OFFSETS_SIZE,
    PythonLayout,
    line_of_instruction,
    python_layout,
    read_elf_symbols,
)

Frames = list[tuple[str, int, str]]  # file, line, function; innermost first

_MOST_FRAMES = 120  # innermost: below a library's sixty there is the user's line
_MOST_THREADS = 64
_MOST_CODES = 4000
_MOST_TABLES = 16 << 20  # bytes, all together: a hostile program chooses how long each is
_LONGEST_NAME = 1024  # characters
_LONGEST_TABLE = 1 << 20
_FIRST_OF_NO_PROGRAM = 3  # _PyInterpreterFrame.owner: the interpreter's own, or the C stack's, since 3.12
_TAG = 7  # a code object's address in a frame may have its lowest bits used, since 3.14 (_PyStackRef)
_SYMBOLS = ("_PyRuntime", "Py_Version")
_PROGRAM = re.compile(r"^([0-9a-f]+)(-[0-9a-f]+) \S+ ([0-9a-f]+) \S+ \d+ +(/.*)$", re.MULTILINE)
_LIBRARY = re.compile(r"/(lib)?python3[^/]*( \(deleted\))?$")
_WORD = struct.Struct("<Q")


class Torn(Exception):
    """What was read cannot be."""


@dataclass(slots=True)
class _Program:
    """An interpreter in a process."""

    pid: int
    memory: int  # /proc/PID/mem, open
    runtime: int
    layout: PythonLayout
    codes: dict[int, tuple[bytes, str, str, bytes]] = field(default_factory=dict)
    tables_size: int = 0  # bytes of their line tables
    thread: int = 0  # whose calls were read last
    ran: dict[int, int] = field(default_factory=dict)  # by thread: nanoseconds on a CPU, when it was looked at last


class PythonFrames:
    """Keeps what it found out about each process. close() it."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Read the processes of the machine at `root`."""
        self._proc = ProcFiles(root)
        self._programs: dict[int, _Program] = {}

    def read(self, pid: int) -> Frames | None:
        """The calls of the thread that holds the interpreter's lock; [] while there is no thread.

        While none holds it, it is the thread that ran most since the last time; else the oldest.
        None: this is no Python that is known here, or its memory may not be read. Raises: nothing.
        """
        for _ in range(2):  # a process that executed another program is found out by that its memory is gone
            program = self._programs.get(pid) or self._open(pid)
            if program is None:
                return None
            try:
                return self._frames(program)
            except (Torn, OSError, OverflowError):
                self._forget(pid)
        return []

    def read_main(self, pid: int) -> Frames:
        """The calls of the oldest thread, if read() gave those of another one; else []. Raises: nothing."""
        program = self._programs.get(pid)
        if program is None:
            return []
        try:
            layout = program.layout
            threads = self._threads(program, _word(program, program.runtime + layout.interpreters))
            is_other = _word(program, threads[-1] + layout.native_id) != program.thread
            return self._calls(program, threads[-1]) if is_other else []
        except (Torn, OSError, OverflowError):
            return []

    def thread(self, pid: int) -> int | None:
        """The thread whose calls read() gave last."""
        program = self._programs.get(pid)
        return program.thread if program is not None and program.thread else None

    def close(self) -> None:
        """Let go of all processes."""
        for pid in list(self._programs):
            self._forget(pid)

    def keep_only(self, pids: set[int]) -> None:
        """Let go of those that have ended."""
        for pid in [pid for pid in self._programs if pid not in pids]:
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        program = self._programs.pop(pid, None)
        if program is not None:
            os.close(program.memory)

    def _open(self, pid: int) -> _Program | None:
        for start, end, offset, path in _PROGRAM.findall(self._proc.read(f"{pid}/maps", 1 << 20)):
            if int(offset, 16) or not _LIBRARY.search(path):
                continue
            try:
                # Whatever it calls itself: what is no regular file is not opened, and what is no ELF file not read.
                symbols = _symbols(self._file(pid, path, start + end))
                if symbols is None:
                    continue
                loaded = int(start, 16) - symbols[0]
                memory = os.open(self._proc.path(f"{pid}/mem"), os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue
            program = _examine(pid, memory, loaded + symbols[1], loaded + symbols[2])
            if program is not None:
                self._programs[pid] = program
                return program
            os.close(memory)
        return None

    def _file(self, pid: int, path: str, where: str) -> str:
        """Where the file of a mapping can be opened.

        Below another root `path` is not what it seems, and a file that was replaced since, as by an upgrade, has none.
        """
        seen = self._proc.path(f"{pid}/root") + path
        if os.path.exists(seen):  # noqa: PTH110 - a path of another root
            return seen
        return self._proc.path(f"{pid}/exe" if self._proc.link(f"{pid}/exe") == path else f"{pid}/map_files/{where}")

    def _frames(self, program: _Program) -> Frames:
        layout = program.layout
        interpreter = _word(program, program.runtime + layout.interpreters)
        if not interpreter:
            return []  # it starts
        thread = self._thread(program, interpreter)
        program.thread = _word(program, thread + layout.native_id)
        return self._calls(program, thread)

    @staticmethod
    def _calls(program: _Program, thread: int) -> Frames:
        layout = program.layout
        at = thread if layout.cframe is None else _word(program, thread + layout.cframe)
        frame = _word(program, at + layout.current_frame)
        frames: Frames = []
        size = layout.owner + 1
        while frame and len(frames) < _MOST_FRAMES:
            data = _read(program, frame, size)
            if data[layout.owner] < _FIRST_OF_NO_PROGRAM:
                frames.append(_frame(program, data))
            frame = _WORD.unpack_from(data, layout.previous)[0]
        return frames

    def _thread(self, program: _Program, interpreter: int) -> int:
        """The thread that holds the lock. While all wait: the one that ran most lately; the oldest is the main one."""
        layout = program.layout
        lock = program.runtime if layout.gil is None else _word(program, interpreter + layout.gil)
        holder = _word(program, lock + layout.gil_holder)
        if holder and _word(program, lock + layout.gil_locked) & 0xFFFFFFFF:
            return holder
        threads = self._threads(program, interpreter)
        if len(threads) == 1:
            return threads[0]
        ids = {each: _word(program, each + layout.native_id) for each in reversed(threads)}
        ran = {each: self._ran(program.pid, tid) for each, tid in ids.items()}
        before, program.ran = program.ran, ran
        # One that runs without the lock is in a system call, or in C: read() fills memory so.
        return max(ran, key=lambda each: (self._runs(program.pid, ids[each]), ran[each] - before.get(each, 0)))

    @staticmethod
    def _threads(program: _Program, interpreter: int) -> list[int]:
        """All of an interpreter's, the newest first."""
        thread = _word(program, interpreter + program.layout.threads)
        threads = [thread]
        while following := _word(program, thread + program.layout.next_thread):
            if len(threads) >= _MOST_THREADS:
                raise Torn
            thread = following
            threads.append(thread)
        return threads

    def _runs(self, pid: int, tid: int) -> bool:
        found = parse_proc_stat(self._proc.read(f"{pid}/task/{tid}/stat"))
        return found is not None and found.state in "RD"

    def _ran(self, pid: int, tid: int) -> int:
        """Nanoseconds that a thread was on a CPU; 0: the kernel does not say."""
        told = self._proc.read(f"{pid}/task/{tid}/schedstat").split()
        return int(told[0]) if told and told[0].isdecimal() else 0


def _symbols(path: str) -> tuple[int, int, int] | None:
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - a path of another root
        return None
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(fd, "rb") as file:
        known = _KNOWN.get((os.fstat(fd).st_dev, os.fstat(fd).st_ino))
        if known is not None:
            return known
        found = read_elf_symbols(file, _SYMBOLS)
        if found is None or len(found.values) < len(_SYMBOLS):
            return None
        runtime, version = (found.values[name] for name in _SYMBOLS)
        _KNOWN[os.fstat(fd).st_dev, os.fstat(fd).st_ino] = found.base, runtime, version
        return found.base, runtime, version


_KNOWN: dict[tuple[int, int], tuple[int, int, int]] = {}  # a few interpreters on a machine


def _examine(pid: int, memory: int, runtime: int, version: int) -> _Program | None:
    try:
        number = os.pread(memory, 8, version)
        layout = python_layout(_WORD.unpack(number)[0] & 0xFFFFFFFF, os.pread(memory, DEBUG_OFFSETS_SIZE, runtime))
    except (OSError, OverflowError, struct.error):
        return None
    return None if layout is None else _Program(pid, memory, runtime, layout)


def _frame(program: _Program, data: bytes) -> tuple[str, int, str]:
    layout = program.layout
    code = _WORD.unpack_from(data, layout.code)[0] & ~_TAG
    head = _read(program, code, layout.instructions)
    known = program.codes.get(code)
    if known is None or known[0] != head[layout.first_line :]:
        file, name, lines = (_WORD.unpack_from(head, place)[0] for place in (layout.file, layout.name, layout.lines))
        known = (head[layout.first_line :], _text(program, file), _text(program, name), _bytes(program, lines))
        _keep(program, code, known)
    instruction = _WORD.unpack_from(data, layout.instruction)[0]
    first_line = struct.unpack_from("<i", head, layout.first_line)[0]
    unit = (instruction - code - layout.instructions) // 2
    line = line_of_instruction(known[3], first_line, unit) if unit >= 0 else None
    return known[1], first_line if line is None else line, known[2]


def _keep(program: _Program, code: int, known: tuple[bytes, str, str, bytes]) -> None:
    if len(program.codes) > _MOST_CODES or program.tables_size + len(known[3]) > _MOST_TABLES:
        program.codes.clear()
        program.tables_size = 0
    program.codes[code] = known
    program.tables_size += len(known[3])


def _text(program: _Program, address: int) -> str:
    """A str. Its state: bits 2 to 4 are the width of a character, bit 6 whether all are ASCII."""
    head = _read(program, address, program.layout.ascii_size)
    length, state = _WORD.unpack_from(head, 16)[0], head[32]
    width, is_ascii = state >> 2 & 7, state >> 6 & 1
    if width not in (1, 2, 4) or length > _LONGEST_NAME:
        raise Torn
    # A str that is not all ASCII has its UTF-8 in its head as well: two more words, and 3.11 a third.
    more = 0 if is_ascii else 16 if program.layout.ascii_size == 40 else 24
    data = _read(program, address + program.layout.ascii_size + more, length * width)
    return data.decode({1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[width], errors="replace")


def _bytes(program: _Program, address: int) -> bytes:
    length = _word(program, address + 16)
    if length > _LONGEST_TABLE:
        raise Torn
    return _read(program, address + 32, length)


def _word(program: _Program, address: int) -> int:
    found: int = _WORD.unpack(_read(program, address, 8))[0]
    return found


def _read(program: _Program, address: int, size: int) -> bytes:
    data = os.pread(program.memory, size, address)
    if len(data) < size:
        raise Torn
    return data
