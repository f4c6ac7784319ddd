"""Where CPython 3.11, 3.12 and 3.13 keep their threads, frames and code; for 64 bits.

Source: the structures in CPython's Include/internal (pycore_runtime.h, pycore_interp.h, pycore_frame.h) and
Include/cpython (code.h, pystate.h, unicodeobject.h); from 3.13 on, _Py_DebugOffsets at the beginning of _PyRuntime.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

DEBUG_OFFSETS_SIZE = 16 + 8 * 42
_COOKIE = b"xdebugpy"
_FURTHEST = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonLayout:
    """Offsets in bytes. None: that version has no such field."""

    interpreters: int  # in _PyRuntime: the first interpreter
    threads: int  # in an interpreter: the first thread
    next_thread: int
    native_id: int  # in a thread: its tid
    cframe: int | None  # in a thread: what points to the frame; None: the thread does itself
    current_frame: int
    gil: int | None  # in an interpreter: the lock; None: it is in _PyRuntime
    gil_holder: int
    gil_locked: int
    code: int  # in a frame
    instruction: int
    previous: int
    owner: int
    file: int = 112  # in a code object
    name: int = 128
    lines: int = 136
    first_line: int = 68
    instructions: int
    ascii_size: int = 40  # of a str's head


_LAYOUTS = {
    (3, 11): PythonLayout(
        interpreters=40, threads=16, next_thread=8, native_id=160, cframe=56, current_frame=8,
        gil=None, gil_holder=368, gil_locked=376, code=32, instruction=56, previous=48, owner=69,
        first_line=72, instructions=184, ascii_size=48,
    ),
    (3, 12): PythonLayout(
        interpreters=40, threads=72, next_thread=8, native_id=144, cframe=56, current_frame=0,
        gil=384, gil_holder=8, gil_locked=16, code=0, instruction=56, previous=8, owner=70, instructions=192,
    ),
    (3, 13): PythonLayout(
        interpreters=632, threads=7344, next_thread=8, native_id=160, cframe=None, current_frame=72,
        gil=16, gil_holder=8, gil_locked=16, code=0, instruction=56, previous=8, owner=70, instructions=200,
    ),
}  # fmt: skip


def python_layout(version: int, debug_offsets: bytes) -> PythonLayout | None:
    """Give the layout for Py_Version, such as 0x030d00f0, and the first bytes of _PyRuntime.

    None: a version whose layout is not known, or one without the GIL.
    """
    known = _LAYOUTS.get((version >> 24, version >> 16 & 0xFF))
    if known is None or known.cframe is not None:
        return known
    if len(debug_offsets) < DEBUG_OFFSETS_SIZE or not debug_offsets.startswith(_COOKIE):
        return None
    told = struct.unpack_from("<42Q", debug_offsets, 16)
    if told[0] or max(told[1:]) > _FURTHEST:  # free-threaded
        return None
    return replace(
        known,
        interpreters=told[3],
        threads=told[7],
        gil=told[12],
        gil_locked=told[15] - told[13],
        gil_holder=told[16] - told[13],
        next_thread=told[19],
        current_frame=told[21],
        native_id=told[23],
        previous=told[27],
        code=told[28],
        instruction=told[29],
        owner=told[31],
        file=told[33],
        name=told[35],
        lines=told[36],
        first_line=told[37],
        instructions=told[41],
    )
