"""Which files a run reads: from files, folders, globs and "-" to a list in a fixed order."""

from __future__ import annotations

import glob
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from oomguard.errors import BadInput, Changed, NothingFound
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["text", "jsonl", "parquet"]
Compression = Literal["gz", "zst", "xz", "bz2"]

STDIN = "-"
KNOWN = ".txt .text .jsonl .ndjson (also .gz .zst .xz .bz2 of these) .parquet"

_KINDS: dict[str, Kind] = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
_COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".zst": "zst", ".xz": "xz", ".bz2": "bz2"}
_STATE = ".oomguard"
_LISTED = 5  # file names shown in an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input that is read from its begin to its end."""

    path: str  # opens as it is; show it through printable(); "-" is standard input
    kind: Kind
    compression: Compression | None
    size: int | None  # bytes on disk; None: a stream
    mtime_ns: int | None

    @property
    def seekable_text(self) -> bool:
        """A plain text file, of which any part can be read on its own."""
        return self.kind == "text" and self.compression is None and self.path != STDIN


def find_sources(
    inputs: Sequence[str], *, folder: Path, exclude: Path | None, stdin_kind: Literal["text", "jsonl"] = "text"
) -> list[Source]:
    """Find what to read, in the order given; what one input expands to is in natural order (2 before 10).

    `inputs` are files, folders (with all that is below them), globs (`**` for any depth) and "-". Relative ones start
    from `folder`; none at all means the corpus files directly in `folder`. A folder gives the files with a known
    extension; a file that is named, or matched by a glob, is taken as text when its extension is another, and `.json`
    as JSON Lines. Hidden files, `.oomguard` and whatever is in `exclude`, the output folder, are passed over.
    Raises: NothingFound if an input gives no file; BadInput for a file that cannot be read, or is there twice.
    """
    finder = _Finder(folder=folder, exclude=exclude, stdin_kind=stdin_kind)
    if not inputs:
        return finder.folder_itself()
    found = [source for given in inputs for source in finder.expand(given)]
    _refuse_twice(found)
    return found


def require_unchanged(source: Source) -> None:
    """What was read is what was found, so that the shards are not made of two versions.

    Raises: Changed if the file has another size or time now.
    """
    if source.path == STDIN or source.size is None:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finder:
    folder: Path
    exclude: Path | None
    stdin_kind: Literal["text", "jsonl"]

    def folder_itself(self) -> list[Source]:
        names = [entry for entry in _listing(self.folder) if _kind_of(entry.name)]
        found = [
            _source(path) for path in sorted(names, key=_natural) if not path.is_dir() and not self._excluded(path)
        ]
        if not found:
            raise NothingFound(
                f"no corpus files in {printable(str(self.folder.absolute()))}: {KNOWN}",
                do="oomguard prepare FILE_OR_FOLDER",
            )
        return found

    def expand(self, given: str) -> list[Source]:
        if given in (STDIN, "/dev/stdin"):
            return [Source(path=STDIN, kind=self.stdin_kind, compression=None, size=None, mtime_ns=None)]
        path = self.folder / given
        if given and path.is_dir():
            found = [_source(file) for file in self._walk(path, seen=set())]
        elif given and os.path.lexists(path):  # before globs: a file may be called "a[1].txt"
            found = [self._named(path)]
        else:
            found = self._glob(given) if glob.has_magic(given) else []
        if not found:
            raise NothingFound(f'"{printable(given)}" {_why_nothing(given, path)}', do=self._instead(path))
        return found

    def _named(self, path: Path) -> Source:
        if self._excluded(path):
            raise BadInput(
                f"{printable(str(path))} is in the output folder, which is never read as input",
                do="choose another folder with --out, or move the file",
            )
        return _source(path)

    def _glob(self, pattern: str) -> list[Source]:
        found: list[Source] = []
        anywhere = str(self.folder / pattern) if self.folder != Path() else pattern
        for name in sorted(glob.glob(anywhere, recursive=True), key=_natural):  # noqa: PTH207 - Path's takes no "/a/*"
            path = Path(name)
            if _STATE in path.parts or self._excluded(path):
                continue
            if not path.is_dir():
                found.append(_source(path))
            elif "**" not in pattern:  # as the shell's own expansion would be taken; `**` lists what is in there itself
                found.extend(_source(file) for file in self._walk(path, seen=set()))
        return found

    def _walk(self, folder: Path, *, seen: set[str]) -> Iterator[Path]:
        real = os.path.realpath(folder)
        if real in seen or self._excluded(folder):  # seen: a link that leads back up
            return
        seen.add(real)
        for path in sorted(_listing(folder), key=_natural):
            if path.is_dir():
                yield from self._walk(path, seen=seen)
            elif _kind_of(path.name) and not self._excluded(path):
                yield path

    def _excluded(self, path: Path) -> bool:
        if self.exclude is None:
            return False
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.exclude))

    def _instead(self, path: Path) -> str:
        near = path if path.is_dir() else path.parent
        near = near if near.is_dir() else self.folder
        try:
            names = [entry for entry in sorted(_listing(near), key=_natural) if _kind_of(entry.name)]
        except BadInput:
            names = []
        if not names:
            return "oomguard prepare FILE_OR_FOLDER"
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"there are: {', '.join(printable(str(name)) for name in names[:_LISTED])}{more}"


def _why_nothing(given: str, path: Path) -> str:
    if given and path.is_dir():
        return f"holds no corpus files: {KNOWN}"
    return "matches no file" if glob.has_magic(given) else "does not exist"


def _listing(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise BadInput(
            f"may not list {printable(str(folder))}: {error.strerror}", do=f"ls -ld {printable(str(folder))}"
        ) from error


def _split_name(name: str) -> tuple[str, Compression | None]:
    """Give the extension below the compression, in small letters, and the compression."""
    path = Path(name.lower())
    compression = _COMPRESSIONS.get(path.suffix)
    return (Path(path.stem).suffix if compression else path.suffix), compression


def _kind_of(name: str) -> Kind | None:
    extension, compression = _split_name(name)
    kind = _KINDS.get(extension)
    return None if kind == "parquet" and compression else kind


def _source(path: Path) -> Source:
    shown = printable(str(path))
    try:
        status = path.stat()
    except OSError as error:
        raise BadInput(f"{shown} cannot be opened: {error.strerror}", do=f"ls -l {shown}") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a pipe" if stat.S_ISFIFO(status.st_mode) else "a device or socket"
        raise BadInput(f"{shown} is {what}, not a file", do=f"cat {shown} | oomguard prepare -")
    if not os.access(path, os.R_OK, effective_ids=True):
        raise BadInput(f"{shown} may not be read", do=f"ls -l {shown}")
    extension, compression = _split_name(path.name)
    kind = "jsonl" if extension == ".json" else _KINDS.get(extension, "text")
    if kind == "parquet" and compression:
        raise BadInput(
            f"{shown} is a compressed parquet file; parquet compresses inside, and is read by seeking in it",
            do="decompress the file first",
        )
    if extension == ".json" and not compression:
        _refuse_array(path, shown)
    return Source(path=str(path), kind=kind, compression=compression, size=status.st_size, mtime_ns=status.st_mtime_ns)


def _refuse_array(path: Path, shown: str) -> None:
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"["):
        raise BadInput(
            f"{shown} is one JSON array, which can only be read whole; JSON Lines has one document a line",
            do=f"jq -c '.[]' {shown} > {shown}l, then use {shown}l",
        )


def _refuse_twice(found: list[Source]) -> None:
    seen: dict[str, str] = {}
    for source in found:
        real = source.path if source.path == STDIN else os.path.realpath(source.path)
        if real in seen:
            also = "" if seen[real] == source.path else f" (also as {printable(seen[real])})"
            raise BadInput(f"{printable(source.path)} is there twice{also}", do="name each input once")
        seen[real] = source.path


def _natural(path: Path | str) -> list[tuple[list[str | int], str]]:
    """Sort "part2" before "part10", folder by folder; re.split puts text and number in turns."""
    return [
        ([int(part) if i % 2 else part for i, part in enumerate(re.split("([0-9]+)", name))], name)
        for name in Path(path).parts
    ]
