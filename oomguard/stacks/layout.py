"""Where CPython 3.11 to 3.15 keep threads, frames, code and lines, and where an ELF file says that CPython is.

From 3.13 on the interpreter says it itself, in _Py_DebugOffsets at the beginning of _PyRuntime: a table without names,
whose fields differ from version to version, and are the same in all releases of one. For 3.15 since its fourth beta.
Source: the structures in CPython's Include/internal (pycore_runtime.h, pycore_interp.h, pycore_frame.h,
pycore_debug_offsets.h) and Include/cpython (code.h, pystate.h, unicodeobject.h).

Source: CPython's Objects/locations.md, since 3.11.

Source: elf(5), System V ABI chapter 4.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO

from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

_COOKIE = b"xdebugpy"
_HEAD = struct.Struct("<8sQQ")  # the cookie, the version, whether it is free-threaded
_FURTHEST = 1 << 24
_FIRST_OF_3_15 = 0x030F00B4

# The fields of each version's table, in their order, as far as any that is needed.
_FIELDS_3_13 = {
    "runtime_state": "size finalizing interpreters_head",
    "interpreter_state": "size id next threads_head gc imports_modules sysdict builtins ceval_gil gil_runtime_state "
    "gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder",
    "thread_state": "size prev next interp current_frame thread_id native_thread_id datastack_chunk status",
    "interpreter_frame": "size previous executable instr_ptr localsplus owner",
    "code_object": "size filename name qualname linetable firstlineno argcount localsplusnames localspluskinds "
    "co_code_adaptive",
}
_FIELDS_3_14 = {
    "runtime_state": _FIELDS_3_13["runtime_state"],
    "interpreter_state": "size id next threads_head threads_main gc imports_modules sysdict builtins ceval_gil "
    "gil_runtime_state gil_runtime_state_enabled gil_runtime_state_locked gil_runtime_state_holder "
    "code_object_generation tlbc_generation",
    "thread_state": _FIELDS_3_13["thread_state"],
    "interpreter_frame": "size previous executable instr_ptr localsplus owner stackpointer tlbc_index",
    "code_object": f"{_FIELDS_3_13['code_object']} co_tlbc",
}
_FIELDS_3_15 = {
    "runtime_state": _FIELDS_3_14["runtime_state"],
    "interpreter_state": _FIELDS_3_14["interpreter_state"],
    "thread_state": "size prev next interp current_frame base_frame last_profiled_frame last_profiled_frame_seq "
    "thread_id native_thread_id datastack_chunk status holds_gil gil_requested current_exception exc_state",
    "err_stackitem": "exc_value",
    "interpreter_frame": _FIELDS_3_14["interpreter_frame"],
    "code_object": _FIELDS_3_14["code_object"],
}


def _names(fields: dict[str, str]) -> tuple[str, ...]:
    return tuple(f"{part}.{name}" for part, names in fields.items() for name in names.split())


_TABLES = {(3, 13): _names(_FIELDS_3_13), (3, 14): _names(_FIELDS_3_14), (3, 15): _names(_FIELDS_3_15)}
DEBUG_OFFSETS_SIZE = _HEAD.size + 8 * max(len(names) for names in _TABLES.values())


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
}  # fmt: skip


def python_layout(version: int, debug_offsets: bytes) -> PythonLayout | None:
    """Give the layout for Py_Version, such as 0x030d00f0, and the first bytes of _PyRuntime.

    None: a version whose layout is not known, or one without the GIL.
    """
    number = version >> 24, version >> 16 & 0xFF
    names = _TABLES.get(number)
    if names is None:
        return _LAYOUTS.get(number)
    if number == (3, 15) and version < _FIRST_OF_3_15:
        return None
    return _told_by_itself(version, names, debug_offsets)


def _told_by_itself(version: int, names: tuple[str, ...], debug_offsets: bytes) -> PythonLayout | None:
    if len(debug_offsets) < _HEAD.size + 8 * len(names):
        return None
    cookie, told_version, free_threaded = _HEAD.unpack_from(debug_offsets)
    values = struct.unpack_from(f"<{len(names)}Q", debug_offsets, _HEAD.size)
    if (cookie, told_version) != (_COOKIE, version) or free_threaded or max(values) > _FURTHEST:
        return None
    told = dict(zip(names, values, strict=True))
    gil = told["interpreter_state.gil_runtime_state"]
    return PythonLayout(
        interpreters=told["runtime_state.interpreters_head"],
        threads=told["interpreter_state.threads_head"],
        gil=told["interpreter_state.ceval_gil"],
        gil_locked=told["interpreter_state.gil_runtime_state_locked"] - gil,
        gil_holder=told["interpreter_state.gil_runtime_state_holder"] - gil,
        next_thread=told["thread_state.next"],
        cframe=None,
        current_frame=told["thread_state.current_frame"],
        native_id=told["thread_state.native_thread_id"],
        previous=told["interpreter_frame.previous"],
        code=told["interpreter_frame.executable"],
        instruction=told["interpreter_frame.instr_ptr"],
        owner=told["interpreter_frame.owner"],
        file=told["code_object.filename"],
        name=told["code_object.qualname"],
        lines=told["code_object.linetable"],
        first_line=told["code_object.firstlineno"],
        instructions=told["code_object.co_code_adaptive"],
    )


_NO_COLUMN, _LONG, _NONE = 13, 14, 15
_FIRST_ONE_LINE = 10
_MOST_BYTES = 5  # of a number: lines fit in 30 bits


def line_of_instruction(table: bytes, first_line: int, unit: int) -> int | None:
    """Give the line of the code unit number `unit` (2 bytes each). None: it has none. Raises: nothing."""
    line, begin, place = first_line, 0, 0
    while place < len(table):
        code, length = table[place] >> 3 & 15, (table[place] & 7) + 1
        if code in (_NO_COLUMN, _LONG):
            line += _signed(table, place + 1)
        elif _FIRST_ONE_LINE <= code < _NO_COLUMN:
            line += code - _FIRST_ONE_LINE
        if begin <= unit < begin + length:
            return None if code == _NONE else line
        begin += length
        place += 1
        while place < len(table) and table[place] < 0x80:  # only the first byte of an entry has the high bit
            place += 1
    return None


def _signed(table: bytes, place: int) -> int:
    value = 0
    for number, byte in enumerate(table[place : place + _MOST_BYTES]):
        value |= (byte & 63) << 6 * number
        if not byte & 64:
            break
    return -(value >> 1) if value & 1 else value >> 1


_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_LOAD, _SYMTAB, _DYNSYM = 1, 2, 11
_MOST_TABLE = 32 << 20  # bytes
_MOST_HEADERS = 1 << 10


@dataclass(frozen=True, slots=True)
class ElfSymbols:
    """The `values` of symbols, and the address that they take the file's first byte to be loaded at."""

    base: int
    values: dict[str, int]


def read_elf_symbols(file: BinaryIO, names: Iterable[str]) -> ElfSymbols | None:
    """Look names up in the symbol tables. None: no such ELF file. Raises: OSError."""
    head = file.read(_HEADER.size)
    if len(head) < _HEADER.size or head[:6] != b"\x7fELF\x02\x01":
        return None
    (_, _, _, _, _, programs, sections, _, _, program_size, program_count, section_size, section_count, _) = (
        _HEADER.unpack(head)
    )
    if program_size != _PROGRAM.size or (section_count and section_size != _SECTION.size):
        return None
    loads = [row for row in _rows(file, _PROGRAM, programs, program_count) if row[0] == _LOAD]
    tables = _rows(file, _SECTION, sections, section_count)
    if not loads:
        return None
    wanted = {name.encode(): name for name in names}
    values: dict[str, int] = {}
    for _, kind, _, _, offset, size, link, *_ in tables:
        if kind in (_SYMTAB, _DYNSYM) and link < len(tables) and len(values) < len(wanted):
            texts = _read(file, tables[link][4], tables[link][5])
            values |= _look_up(_read(file, offset, size), texts, wanted)
    return ElfSymbols(base=loads[0][3] - loads[0][2], values=values)


def _look_up(table: bytes, texts: bytes, wanted: dict[bytes, str]) -> dict[str, int]:
    # Found by the place of their names: one comparison of numbers for each of thousands of symbols.
    places = {}
    for raw, name in wanted.items():
        place = texts.find(b"\0" + raw + b"\0")
        if place >= 0:
            places[place + 1] = name
    whole = table[: len(table) // _SYMBOL.size * _SYMBOL.size]
    return {
        places[name]: value
        for name, _, _, section, value, _ in _SYMBOL.iter_unpack(whole)
        if name in places and section
    }


def _rows(file: BinaryIO, shape: struct.Struct, offset: int, count: int) -> list[tuple[int, ...]]:
    data = _read(file, offset, min(count, _MOST_HEADERS) * shape.size)
    return list(shape.iter_unpack(data[: len(data) // shape.size * shape.size]))


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(min(offset, 1 << 62))
    return file.read(min(size, _MOST_TABLE))
