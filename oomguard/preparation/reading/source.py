"""One input of a run: what it is, and whether it is still what it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import Changed
from oomguard.preparation.reading.kinds import KINDS
from oomguard.text import printable

if TYPE_CHECKING:
    from oomguard.preparation.reading.kinds import Compression, Kind
    from oomguard.preparation.remote.places import Places
    from oomguard.preparation.remote.remote_file import RemoteFile

STDIN = "-"
REMOTE = ("hf://", "s3://", "gs://", "https://", "http://")


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

    def open_remote(self) -> RemoteFile:
        """Open it on its server. Raises: MissingExtra."""
        from oomguard.preparation.remote.remote_file import RemoteFile

        assert self.size is not None
        return RemoteFile(self.path, self.size, self.pin)

    def open_places(self) -> Places:
        """Open it on its server to look into it here and there, by short requests. Raises: MissingExtra."""
        from oomguard.preparation.remote.places import Places

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
