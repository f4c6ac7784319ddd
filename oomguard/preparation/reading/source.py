"""One input of a run: what it is, and whether it is still what it was; and all inputs, a million in little memory."""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from oomguard.errors import Changed
from oomguard.kernel.plain_files import open_input, read_into
from oomguard.preparation.reading.kinds import KINDS
from oomguard.records import dataclass
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.preparation.reading.kinds import Compression, Kind
    from oomguard.preparation.remote.remote_file import Places, RemoteFile

STDIN = "-"
REMOTE = ("hf://", "s3://", "gs://", "https://", "http://")
_DECOMPRESS: dict[Compression, str] = {"gz": "zcat", "zst": "zstdcat", "xz": "xzcat", "bz2": "bzcat"}


def open_here(path: str) -> int:
    """Open a file of this machine; as root no other user's link leads elsewhere. Raises: OSError."""
    return open_input(path)


def piped(command: str, path: str, compression: Compression | None) -> str:
    """A command that is sent the text of an input, as it is typed."""
    if path == STDIN:
        return f"COMMAND | {command}"  # what was before the bar, which nobody knows here
    if path.startswith(REMOTE):
        return f"download it, then {command} < FILE"
    if compression is not None:
        return f"{_DECOMPRESS[compression]} {shell_word(path)} | {command}"
    return f"{command} < {shell_word(path)}"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a file that is read on its own: bytes of text and lines, row groups of parquet; `end` is not in it."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input that is read from its begin to its end, or a part of one."""

    path: str  # opens as it is; show it through printable(); "-" is standard input
    kind: Kind
    compression: Compression | None
    size: int | None  # bytes on disk; None: a stream
    mtime_ns: int | None
    text_field: str = "text"  # where the text is, in what has fields
    encoding: str = ""  # of the characters; "": UTF-8
    guessed: bool = False  # taken as text because nothing said what it is, and it was not looked into
    pin: str = ""  # of a file on a server: what tells this version of it
    inode: int | None = field(default=None, compare=False)
    ctime_ns: int | None = field(default=None, compare=False)
    part: Part | None = None  # None: all of it

    @property
    def begin(self) -> int:
        """Where reading begins: a byte or row group."""
        return self.part.begin if self.part else 0

    @property
    def end(self) -> int | None:
        """The byte or row group before which reading ends; None: where the file does."""
        return self.part.end if self.part else None

    @property
    def is_remote(self) -> bool:
        """Whether it is on a server, and read as a stream from there."""
        return self.path.startswith(REMOTE)

    def line_for(self, do: str) -> str:
        """What to do, with this input in the place of FILE."""
        command, reads, rest = do.partition(" < FILE ")
        if reads:
            return f"{piped(command, self.path, self.compression)} {rest}"
        return re.sub(r"(?<!\S)FILE(?!\S)", lambda _: shell_word(self.path), do)  # no part of another name

    def open_here(self) -> int:
        """Open a file of this machine. Raises: OSError."""
        return open_here(self.path)

    def open_remote(self) -> RemoteFile:
        """Open it on its server. Raises: MissingExtra."""
        from oomguard.preparation.remote.remote_file import RemoteFile

        assert self.size is not None
        return RemoteFile(self.path, self.size, self.pin)

    def open_places(self) -> Places:
        """Open it on its server to look into it here and there, by short requests. Raises: MissingExtra."""
        from oomguard.preparation.remote.remote_file import Places

        return Places(self.open_remote())

    @property
    def memory(self) -> Literal["text", "lines", "rows"]:
        """What a worker takes for it, as `memory_sum` has it: rows from a server are decoded by the reader."""
        return "lines" if self.is_remote and self.kind == "parquet" else KINDS[self.kind].memory

    @property
    def is_cut(self) -> bool:
        """Whether workers read it themselves, each a range of it; else it comes from the stream reader."""
        here = self.path != STDIN and not self.is_remote
        return here and KINDS[self.kind].is_cut and self.compression is None and not self.encoding

    @property
    def divisible_text(self) -> bool:
        """A plain text file whose end can be found: here or on a server."""
        is_plain = self.kind == "text" and self.compression is None and not self.encoding
        return is_plain and self.path != STDIN

    @property
    def seekable_text(self) -> bool:
        """A plain text file, of which any part can be read on its own."""
        return self.divisible_text and self.is_cut


def read_at(fd: int, source: Source, offset: int, length: int, *, size: int, once: bool = False) -> bytes:
    """Read so many bytes of a file that had `size` when the run began; a network's may give them in parts.

    once: they do not stay in the page cache.
    Raises: Changed if the file ends before.
    """
    room, got = bytearray(length), 0
    with memoryview(room) as view:
        while got < length and (more := read_into(fd, view[got:], offset + got, once=once)):
            got += more
    if got < length:
        raise Changed(
            f"{printable(source.path)} became shorter while it was read: "
            f"{offset + got} bytes, and {size} when the run began",
            do="give the same file again, or start over with --restart",
        )
    return bytes(room)


def source_of(facts: dict[str, Any]) -> Source:
    """A source that came as a message."""
    part = facts.get("part")
    return Source(**{**facts, "part": Part(**part) if part else None})


def require_unchanged(source: Source) -> None:
    """What was read is what was found, so that the shards are not made of two versions.

    Raises: Changed if the file has another size or time now.
    """
    if source.path == STDIN or source.size is None or source.is_remote:
        return
    try:
        now = Path(source.path).stat()
    except OSError:
        return  # gone since: what was open has been read to its end
    if (now.st_size, now.st_mtime_ns) != (source.size, source.mtime_ns):
        raise Changed(
            f"{printable(source.path)} was changed while it was read ({source.size:,} bytes, now {now.st_size:,})",
            do="run the same command with --restart once nothing writes to it any more",
        )


_OWN = ("path", "size", "mtime_ns", "inode", "ctime_ns")
_SHARED = tuple(one.name for one in fields(Source) if one.name not in _OWN)
# A third of the time that Source() takes, which sets each of its frozen fields by name.
_set_path, _set_size, _set_mtime, _set_inode, _set_ctime = (getattr(Source, name).__set__ for name in _OWN)
_set_shared = tuple(getattr(Source, name).__set__ for name in _SHARED)
_MOST_KINDS = 1 << 16


class SourceList(Sequence[Source]):
    """Sources in their order; as a list, but for `append` alone nothing changes it.

    A Source is made anew each time that one is asked for: a file of this machine takes its name and about 45 bytes,
    where a Source and what it refers to takes 400.
    """

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        """Hold these sources."""
        self._folders: dict[str, int] = {}
        self._kinds: dict[tuple[Any, ...], int] = {}  # what is the same for many: the kind, the field, ...
        self._names = bytearray()
        self._ends = array("Q", [0])
        self._folder_of, self._kind_of = array("I"), array("H")
        self._size, self._mtime, self._inode, self._ctime = (array("q") for _ in range(4))
        self._others: dict[int, Source] = {}  # streams, files on servers
        self._last: tuple[int, Source] | None = None  # that was asked for
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
        self._names += name.encode("utf-8", "surrogatepass")
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
        index = range(len(self))[at]
        last = self._last
        if last is None or last[0] != index:  # whoever cuts a source asks for it again and again
            last = self._last = index, self._make(index)
        return last[1]

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
        name = self._names[self._ends[index] : self._ends[index + 1]].decode("utf-8", "surrogatepass")
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
