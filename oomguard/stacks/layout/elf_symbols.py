"""Where an ELF file says that a variable lies; 64 bits, little endian. Source: elf(5), System V ABI chapter 4."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterable

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
