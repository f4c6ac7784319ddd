"""Headers of parquet pages: how large a page is, before it is read.

Source: parquet.thrift (PageHeader) and Thrift's compact protocol, in apache/parquet-format and apache/thrift.
pyarrow tells the size of a column chunk, but a page, which its reader decodes whole, may be all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3  # PageType
_KIND, _UNCOMPRESSED, _COMPRESSED = 1, 2, 3  # fields of PageHeader
_HEADERS = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}  # the field with each type's own header; its field 1 is num_values
_ENCODINGS = {_DATA: 2, _DATA_V2: 4}  # the field in it with the encoding
_PLAIN_DICTIONARY, _RLE_DICTIONARY = 2, 8  # Encoding

# Compact protocol types
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_DEEPEST = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PageHeader:
    """One page of a column chunk."""

    is_dictionary: bool
    is_data: bool
    uses_dictionary: bool  # its values are numbers of values in the dictionary
    values: int
    uncompressed: int  # bytes
    compressed: int  # bytes that follow the header in the file
    header: int  # bytes of the header itself


class NotAPage(ValueError):
    """The bytes are no page header, or not all of one."""


def parse_page_header(data: bytes) -> PageHeader:
    """Read the header that `data` begins with.

    Raises: NotAPage if it is none; also if it is longer than `data`.
    """
    cursor = ThriftCursor(data)
    try:
        fields = cursor.struct(0)
    except IndexError as error:
        raise NotAPage("cut off") from error
    kind, uncompressed, compressed = (fields.get(name) for name in (_KIND, _UNCOMPRESSED, _COMPRESSED))
    if not (isinstance(kind, int) and isinstance(uncompressed, int) and isinstance(compressed, int)):
        raise NotAPage("no sizes")
    own = fields.get(_HEADERS.get(kind, -1))
    own = own if isinstance(own, dict) else {}
    values = own.get(1, 0)
    if min(uncompressed, compressed) < 0 or not isinstance(values, int) or values < 0:
        raise NotAPage("negative sizes")
    return PageHeader(
        is_dictionary=kind == _DICTIONARY,
        is_data=kind in (_DATA, _DATA_V2),
        uses_dictionary=own.get(_ENCODINGS.get(kind, -1)) in (_PLAIN_DICTIONARY, _RLE_DICTIONARY),
        values=values,
        uncompressed=uncompressed,
        compressed=compressed,
        header=cursor.at,
    )


class ThriftCursor:
    """Reads Thrift values; IndexError at the end of the data, NotAPage for what makes no sense."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, object]:
        """Give the fields of a struct by number: integers, nested structs, None for the rest."""
        if depth > _DEEPEST:
            raise NotAPage("too deep")
        return {field: self.value(kind, depth + 1) for field, kind in self.fields()}

    def fields(self) -> Iterator[tuple[int, int]]:
        """Give the number and the type of each field of a struct, whose value is to be read before the next."""
        field = 0
        while head := self._byte():
            field = field + (head >> 4) if head >> 4 else self._integer()
            yield field, head & 15

    def list_size(self) -> int:
        """Read how many values a list has, whose type is known."""
        size = self._byte() >> 4
        return size if size < 15 else self._varint()

    def binary(self) -> bytes:
        """Read some bytes."""
        size = self._varint()
        self._skip(size)
        return self._data[self.at - size : self.at]

    def value(self, kind: int, depth: int = 0) -> object:
        """Read a value: an integer, a struct as `struct` gives it, None of another type."""
        if kind in (_TRUE, _FALSE):  # a field's type says which
            return None
        if kind in (_I16, _I32, _I64):
            return self._integer()
        if kind == _STRUCT:
            return self.struct(depth)
        if kind in (_BYTE, _DOUBLE, _BINARY):
            self._skip({_BYTE: 1, _DOUBLE: 8}.get(kind) or self._varint())
        elif kind in (_LIST, _SET):
            self._list(depth)
        else:
            raise NotAPage(f"type {kind}")  # a map: PageHeader has none
        return None

    def _list(self, depth: int) -> None:
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        for _ in range(min(count, len(self._data) + 1)):
            if head & 15 in (_TRUE, _FALSE):
                self._skip(1)
            else:
                self.value(head & 15, depth + 1)

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)  # zigzag

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7
            if shift > 63:
                raise NotAPage("a number too long")

    def _byte(self) -> int:
        byte = self._data[self.at]
        self.at += 1
        return byte

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self._data):
            raise IndexError
