"""The inputs of a run, a million of them in little memory: a Source is made anew each time that one is asked for.

A file of this machine takes its name and about 45 bytes, where a Source and what it refers to takes 400.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, overload

from oomguard.preparation.reading.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_OWN = ("path", "size", "mtime_ns", "inode", "ctime_ns")
_SHARED = tuple(one.name for one in fields(Source) if one.name not in _OWN)
# A third of the time that Source() takes, which sets each of its frozen fields by name.
_set_path, _set_size, _set_mtime, _set_inode, _set_ctime = (getattr(Source, name).__set__ for name in _OWN)
_set_shared = tuple(getattr(Source, name).__set__ for name in _SHARED)
_MOST_KINDS = 1 << 16


class SourceList(Sequence[Source]):
    """Sources in their order; as a list, but for `append` alone nothing changes it."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        """Hold these sources."""
        self._folders: dict[str, int] = {}
        self._kinds: dict[tuple[Any, ...], int] = {}  # what is the same for many: the kind, the field, ...
        self._names = bytearray()
        self._ends = array("Q", [0])
        self._folder_of, self._kind_of = array("I"), array("H")
        self._size, self._mtime, self._inode, self._ctime = (array("q") for _ in range(4))
        self._others: dict[int, Source] = {}  # streams, files on servers
        self._folder_names: list[str] = []
        self._kind_facts: list[tuple[Any, ...]] = []
        for source in sources:
            self.append(source)

    def append(self, source: Source) -> None:
        """Add one at the end."""
        kind = tuple(getattr(source, name) for name in _SHARED)
        numbers = (source.size, source.mtime_ns, source.inode, source.ctime_ns)
        is_new_kind = kind not in self._kinds
        if source.is_remote or not all(map(_fits, numbers)) or (is_new_kind and len(self._kinds) == _MOST_KINDS):
            self._others[len(self)] = source
            name, folder, kind, numbers = "", "", (), (0, 0, 0, 0)
        else:
            before, slash, name = source.path.rpartition("/")
            folder = before + slash
        self._names += name.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._names))
        self._folder_of.append(_number(folder, self._folders, self._folder_names))
        self._kind_of.append(_number(kind, self._kinds, self._kind_facts))
        for column, value in zip((self._size, self._mtime, self._inode, self._ctime), numbers, strict=True):
            column.append(value or 0)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._folder_of)

    @overload
    def __getitem__(self, at: int) -> Source: ...
    @overload
    def __getitem__(self, at: slice) -> list[Source]: ...
    def __getitem__(self, at: int | slice) -> Source | list[Source]:
        """Give one, or a list of some."""
        if isinstance(at, slice):
            return [self._make(index) for index in range(*at.indices(len(self)))]
        return self._make(range(len(self))[at])

    def __iter__(self) -> Iterator[Source]:
        """Each in turn."""
        return map(self._make, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Whether these are the sources of another list."""
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment]  # it grows

    def _make(self, index: int) -> Source:
        if (other := self._others.get(index)) is not None:
            return other
        name = self._names[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogateescape")
        source = Source.__new__(Source)
        _set_path(source, self._folder_names[self._folder_of[index]] + name)
        _set_size(source, self._size[index])
        _set_mtime(source, self._mtime[index])
        _set_inode(source, self._inode[index])
        _set_ctime(source, self._ctime[index])
        for set_one, value in zip(_set_shared, self._kind_facts[self._kind_of[index]], strict=True):
            set_one(source, value)
        return source


def _fits(number: int | None) -> bool:
    return number is not None and -1 << 63 <= number < 1 << 63


def _number(value: Any, known: dict[Any, int], facts: list[Any]) -> int:
    """The number of a value among those seen, a new one for a new value."""
    number = known.get(value)
    if number is None:
        number = known[value] = len(facts)
        facts.append(value)
    return number


def _same(one: object, other: object) -> bool:
    return one == other
