"""The pages of a column chunk: how much memory reading on takes, known before it is taken."""

from __future__ import annotations

from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from oomguard.records import dataclass
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER_READ = KIB  # a header without statistics has 20 to 40 bytes
# A page with so many values, and no larger, is one of small ones; where that is wrong, it is so by a few MiB.
_MANY_VALUES, _ORDINARY_PAGE = 64, 16 * MIB
_LONGEST_HEADER = 16 * MIB  # with the smallest and the largest document as statistics
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3  # PageType
_KIND, _UNCOMPRESSED, _COMPRESSED = 1, 2, 3  # fields of PageHeader
_HEADERS = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}  # the field with each type's own header; its field 1 is num_values
_ENCODINGS = {_DATA: 2, _DATA_V2: 4}  # the field in it with the encoding
_PLAIN_DICTIONARY, _RLE_DICTIONARY = 2, 8  # Encoding

# Compact protocol types
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_DEEPEST = 16


# Headers of parquet pages: how large a page is, before it is read.
#
# Source: parquet.thrift (PageHeader) and Thrift's compact protocol, in apache/parquet-format and apache/thrift.
# pyarrow tells the size of a column chunk, but a page, which its reader decodes whole, may be all of it.


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPages:
    """The pages of one column chunk without repetition: a value is a row."""

    rows: int
    first_rows: list[int]  # of each data page
    pages: list[PageHeader]  # the data pages
    dictionary: PageHeader | None
    places: list[int]  # where each data page's header begins in the file; empty: they are not known one by one
    dictionary_at: int = 0
    start: int = 0  # of the whole column chunk, and its bytes in the file
    size: int = 0

    def need(self, row: int) -> int:
        """The bytes at the peak of reading the page of `row`, were it one large value.

        Measured with such pages: the page, the values copied out of it, and these again when their buffer is cut to
        size. Of a page that is not large, and has many values, it is `likely_need`.
        """
        number = self._index(row)
        page = self.pages[number]
        dictionary = self.dictionary.uncompressed if self.dictionary else 0
        if max(page.uncompressed, dictionary) <= _ORDINARY_PAGE:
            return self.likely_need(number)
        return self._most_need(page)

    def likely_need(self, number: int) -> int:
        """The same of a page whose values, if they are many, are small ones: a page, or a dictionary, in both forms."""
        page = self.pages[number]
        if self.dictionary is None or not page.uses_dictionary:
            kept = self.dictionary.uncompressed if self.dictionary else 0
            return _both_forms(page) + kept if page.values >= _MANY_VALUES else self._most_need(page)
        if self.dictionary.values < _MANY_VALUES:
            return self._most_need(page)
        return _both_forms(page) + _both_forms(self.dictionary) + self.dictionary.uncompressed

    def _most_need(self, page: PageHeader) -> int:
        """Values in a dictionary are there once more, and while it is decompressed so is its other form."""
        if page.uses_dictionary and self.dictionary:
            return 4 * self.dictionary.uncompressed + page.uncompressed + page.compressed
        kept = self.dictionary.uncompressed if self.dictionary else 0
        return max(3 * page.uncompressed, page.uncompressed + page.compressed) + kept

    def text_of(self, page: int) -> int:
        """About how many bytes of text a page holds."""
        one = self.pages[page]
        if one.uses_dictionary and self.dictionary:
            return one.values * self.dictionary.uncompressed // max(self.dictionary.values, 1)
        return one.uncompressed

    def most_coded_text(self) -> int:
        """More text the pages with a dictionary cannot hold, all together: each value is used once at least."""
        if self.dictionary is None:
            return 0
        coded = sum(page.values for page in self.pages if page.uses_dictionary)
        return self.dictionary.uncompressed * (1 + max(0, coded - self.dictionary.values))

    def place(self, page: int) -> int:
        """Where a page begins in the file."""
        return self.places[page] if self.places else self.start

    def place_behind(self, page: int) -> int:
        """Where a page ends in the file."""
        return self.places[page] + self.pages[page].header + self.pages[page].compressed

    def _index(self, row: int) -> int:
        return bisect_right(self.first_rows, row) - 1

    def end(self, page: int) -> int:
        """The row behind a page's last."""
        return self.first_rows[page + 1] if page + 1 < len(self.first_rows) else self.rows


def _both_forms(page: PageHeader) -> int:
    """The bytes of a page that has been decompressed beside what it was; Arrow copies none that was not compressed."""
    return page.uncompressed + (page.compressed if page.compressed < page.uncompressed else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlace:
    """Where a column chunk is, as its footer says: what is needed of a pyarrow ColumnChunkMetaData."""

    num_values: int
    total_uncompressed_size: int
    total_compressed_size: int
    data_page_offset: int
    dictionary_page_offset: int | None


def read_chunk_pages(file: BinaryIO, chunk: Any, *, most: int | None = None) -> ChunkPages:
    """Read the page headers of a column chunk, a ColumnPlace or one of pyarrow's; only the first, `most` of them.

    Headers that make no sense, for instance encrypted ones, give one page of the whole chunk.
    Raises: OSError.
    """
    start, first = chunk.data_page_offset, chunk.dictionary_page_offset
    if first is not None and 0 < first < start:
        start = first
    data: list[PageHeader] = []
    places: list[int] = []
    dictionary: PageHeader | None = None
    dictionary_at = 0
    try:
        for at, page in islice(_headers(file, start, chunk.num_values), most):
            if page.is_dictionary:
                dictionary, dictionary_at = page, at
            elif page.is_data:
                data.append(page)
                places.append(at)
    except NotAPage:
        dictionary, places = None, []
        data = [
            PageHeader(
                is_dictionary=False,
                is_data=True,
                uses_dictionary=False,
                values=chunk.num_values,
                uncompressed=chunk.total_uncompressed_size,
                compressed=chunk.total_compressed_size,
                header=0,
            )
        ]
    first_rows, row = [], 0
    for page in data:
        first_rows.append(row)
        row += page.values
    return ChunkPages(
        rows=row,
        first_rows=first_rows,
        pages=data,
        dictionary=dictionary,
        places=places,
        dictionary_at=dictionary_at,
        start=start,
        size=chunk.total_compressed_size,
    )


def _headers(file: BinaryIO, at: int, values: int) -> Iterator[tuple[int, PageHeader]]:
    seen = 0
    while seen < values:
        size = _HEADER_READ
        while True:
            file.seek(at)
            data = file.read(size)
            try:
                page = parse_page_header(data)
            except NotAPage:
                if len(data) < size or size >= _LONGEST_HEADER:
                    raise
                size *= 8
            else:
                break
        yield at, page
        at += page.header + page.compressed
        seen += page.values if page.is_data else 0
