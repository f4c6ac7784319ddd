"""Which files a run reads: from files, folders, globs and "-" to a list in a fixed order."""

from __future__ import annotations

import glob
import os
import re
from array import array
from dataclasses import field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.file_kinds import FileKinds, InputNotes
from oomguard.preparation.reading.folders import RealPath, check_links, contents_of, list_folder, natural, status_of
from oomguard.preparation.reading.kinds import KINDS, ending, kind_of, split_name
from oomguard.preparation.reading.source import REMOTE, STDIN, Source, SourceList
from oomguard.preparation.reading.wanted import Wanted, is_meant
from oomguard.records import dataclass
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from oomguard.preparation.reading.kinds import Kind


_STATE = ".oomguard"
_STORE = re.compile("([a-z][a-z0-9]{1,9})://")
_OTHER_NAMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}  # of Spark, fsspec
_READ = "hf:// s3:// gs:// and https:// are"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run reads, and what a person should know of how it was found."""

    sources: Sequence[Source]
    notes: tuple[str, ...] = ()


def find_sources(inputs: Sequence[str], *, folder: Path, exclude: Path | None) -> Sequence[Source]:
    """Find what to read, as `find_inputs` does, by names and content alone."""
    return find_inputs(inputs, folder=folder, exclude=exclude, wanted=Wanted()).sources


def find_inputs(inputs: Sequence[str], *, folder: Path, exclude: Path | None, wanted: Wanted) -> Found:
    """Find what to read, in the order given; what one input expands to is in natural order (2 before 10).

    `inputs` are files, folders (with all that is below them), globs (`**` for any depth) and "-". Relative ones start
    from `folder`; none at all means the corpus files directly in `folder`. A folder gives the files with a known
    extension, and `.json` where it is JSON Lines; the notes say what it passes over. A file that is named, or matched
    by a glob, is what its first bytes say when its extension is another, else text. Hidden files, `.oomguard` and
    whatever is in `exclude`, the output folder, are never looked at.
    Raises: NothingFound if an input gives no file; BadInput for a file that cannot be read, or is there twice.
    """
    real_path = RealPath()
    excluded = None if exclude is None else real_path(exclude)
    if wanted.subset is not None and not all(given.startswith(REMOTE) for given in inputs or [""]):
        raise BadInput(
            f"--subset {printable(wanted.subset)} is only for a dataset on the Hub",
            do=f"oomguard prepare hf://datasets/OWNER/NAME --subset {shell_word(wanted.subset)}",
        )
    notes = InputNotes(folder)
    finder = _Finder(
        folder=folder,
        excluded=excluded,
        wanted=wanted,
        real_path=real_path,
        notes=notes,
        kinds=FileKinds(wanted, notes),
    )
    sources = SourceList()
    for given in inputs or (None,):
        before = len(sources)
        for source in finder.folder_itself() if given is None else finder.expand(given):
            sources.append(source)
        if len(sources) == before:
            raise notes.nothing(given)
    _refuse_twice(sources, real_path)
    for pattern, column in wanted.fields:
        if pattern not in finder.matched and not any(is_meant(pattern, one.path) for one in sources):
            raise BadInput(
                f"--text-field {printable(pattern)}={printable(column)}: no input matches {printable(pattern)}",
                do="--text-field 'GLOB=FIELD', where the glob matches a path or a file's name as it is shown",
            )
    return Found(sources=sources, notes=notes.words())


def behind_earlier(
    found: Sequence[Source], earlier: Sequence[dict[str, Any]], wanted: Wanted, *, folder: Path
) -> list[Source]:
    """Give the inputs of a run to which files are added: those it had, in its order, and behind them what is new.

    `earlier`: as its manifest has them. Those need not be there any more, but for one that is there again.
    Raises: BadInput where there is no such run, or it read standard input.
    """
    if not earlier:
        raise BadInput(f"there is no run in {printable(str(folder))} to add to", do="leave --extend out")
    now = {source.path if source.is_remote else os.path.realpath(source.path): source for source in found}
    sources = []
    for known in earlier:
        if known["path"] == STDIN:
            raise BadInput("the run there read standard input, to which nothing can be added", do="--out FOLDER")
        before = Source(
            path=known["path"], kind=known["kind"], compression=known["packed"], size=known["bytes"],
            mtime_ns=known["changed"], inode=known.get("inode"), ctime_ns=known.get("ctime"),
            text_field=known.get("field", wanted.text_field), encoding=known.get("encoding", ""),
            pin=known.get("pin", ""),
        )  # fmt: skip
        sources.append(now.pop(known["path"], before))
    return [*sources, *now.values()]


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    real: str  # without links
    is_folder: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finder:
    folder: Path
    excluded: str | None  # the output folder, as it is without links
    real_path: RealPath
    wanted: Wanted
    notes: InputNotes
    kinds: FileKinds
    matched: set[str] = field(default_factory=set)  # globs of --text-field that match an address

    def folder_itself(self) -> Iterator[Source]:
        entries = list_folder(self.folder)
        paths = (self.folder / name for name in entries.names if name not in entries.folders)
        return (self._source(path) for path in paths if not self._excluded(path) and self.kinds.takes(path))

    def expand(self, given: str) -> Iterable[Source]:
        if given in (STDIN, "/dev/stdin"):
            return [self._stdin()]
        if given.startswith(REMOTE):
            return self._remote(given)
        path = self.folder / given
        if (store := _STORE.match(given)) and not os.path.lexists(path):
            rest = given.removeprefix(f"{store[1]}://")
            do = f"curl -L {shell_word(given)} | oomguard prepare - --input-format jsonl"
            if store[1] in _OTHER_NAMES:
                do = f"oomguard prepare {shell_word(f'{_OTHER_NAMES[store[1]]}://{rest}')}"
            raise BadInput(f"{printable(given)}: {store[1]}:// is not read, only {_READ}", do=do)
        if given and path.is_dir():
            if self._excluded(path):
                raise BadInput(
                    f"{printable(given)} is the output folder, which is never read as input",
                    do="--out with another folder, one in it for example: --out "
                    + shell_word(str(Path(given, "tokens"))),
                )
            return map(self._source, self._walk(path))
        if given and os.path.lexists(path):  # before globs: a file may be called "a[1].txt"
            return [self._named(path)]
        return self._glob(given) if glob.has_magic(given) else []

    def _stdin(self) -> Source:
        kind: Kind = "text"
        if self.wanted.format != "auto" and KINDS[self.wanted.format].seeks:
            name = f"input.{self.wanted.format}"
            raise BadInput(
                f"-: {self.wanted.format} is read by seeking in it, and cannot come through a pipe",
                do=f"cat > {name}, then oomguard prepare {name}",
            )
        if self.wanted.format != "auto":
            kind = self.wanted.format
        elif self.wanted.field_asked:
            kind = "jsonl"
        guessed = kind == "text" and self.wanted.format == "auto"
        return Source(
            path=STDIN, kind=kind, compression=None, size=None, mtime_ns=None, guessed=guessed,
            text_field=self.wanted.field_of(STDIN), encoding=self._encoding_of(kind),
        )  # fmt: skip

    def _remote(self, given: str) -> list[Source]:
        """What a server has; names alone say what it is."""
        from oomguard.preparation.remote.listing import list_remote

        found = []
        entries = list_remote(given, list(self.wanted.known), subset=self.wanted.subset, cache=self.wanted.cache)
        for entry in sorted(entries, key=lambda one: natural(one.address)):
            name = entry.address.rpartition("/")[2]
            extension, compression = split_name(name)
            kind = kind_of(name) or (self.wanted.format if self.wanted.format != "auto" else None)
            if kind is None and entry.named and extension == ".json":
                kind = "jsonl"
            if kind is None or kind == "arrow":
                self.notes.passed_over[ending(name)] += 1
                continue
            kind = kind if self.wanted.format == "auto" else self.wanted.format
            self.matched.update(pattern for pattern, _ in self.wanted.fields if is_meant(pattern, entry.address))
            found.append(Source(
                path=entry.address, kind=kind, compression=compression, size=entry.size, mtime_ns=None, pin=entry.pin,
                text_field=self.wanted.field_of(entry.address), encoding=self._encoding_of(kind),
            ))  # fmt: skip
        return found if self.wanted.cache is None or not found else list(self._kept(found, Path(self.wanted.cache)))

    def _kept(self, found: list[Source], folder: Path) -> Iterator[Source]:
        """The same files from the cache, into which they are fetched before."""
        from oomguard.preparation.remote.listing import keep_remote

        files = [(source.path, source.size or 0, source.pin) for source in found]
        for source, path in zip(found, keep_remote(files, folder, fetch=self.wanted.fetch), strict=True):
            if path is None:
                yield source
                continue
            status = path.stat()
            yield replace(
                source, path=str(path), pin="", mtime_ns=status.st_mtime_ns, inode=status.st_ino,
                ctime_ns=status.st_ctime_ns, text_field=self.wanted.field_of(source.path, str(path)),
            )  # fmt: skip

    def _encoding_of(self, kind: Kind) -> str:
        return self.wanted.encoding if KINDS[kind].is_characters else ""

    def _named(self, path: Path) -> Source:
        if self._excluded(path):
            raise BadInput(
                f"{printable(str(path))} is in the output folder, which is never read as input",
                do="choose another folder with --out, or move the file",
            )
        return self._source(path)

    def _glob(self, pattern: str) -> Iterator[Source]:
        anywhere = str(self.folder / pattern) if self.folder != Path() else pattern
        for name in sorted(glob.glob(anywhere, recursive=True), key=natural):  # noqa: PTH207 - Path's takes no "/a/*"
            path = Path(name)
            if _STATE in path.parts or self._excluded(path):
                continue
            if not path.is_dir():
                yield self._source(path)
            elif "**" not in pattern:  # as the shell's own expansion would be taken; `**` lists what is in there itself
                yield from map(self._source, self._walk(path))

    def _walk(self, folder: Path) -> Iterator[Path]:
        """The files below, in natural order. A list, not calls in calls: folders may be a thousand deep."""
        seen: set[str] = set()
        levels = [self._entries(folder, self.real_path(folder), seen)]
        while levels:
            entry = next(levels[-1], None)
            if entry is None:
                levels.pop()
            elif entry.is_folder:
                levels.append(self._entries(entry.path, entry.real, seen))
            elif not self._is_in_output(entry.real) and self.kinds.takes(entry.path):
                yield entry.path

    def _entries(self, folder: Path, real: str, seen: set[str]) -> Iterator[_Entry]:
        """What is read of one folder, which is `real` without links; of one that was seen, nothing."""
        if real in seen or self._is_in_output(real):  # seen: a link that leads back up
            return
        seen.add(real)
        listed = list_folder(folder)
        left = contents_of(folder, listed.names)[::-1]
        listed.names.clear()
        while left:  # a name is forgotten as soon as it was given: there may be a million
            name = left.pop()
            path = folder / name
            is_plain = "/" not in name and name not in listed.links
            yield _Entry(
                path=path,
                real=f"{real.rstrip('/')}/{name}" if is_plain else os.path.realpath(path),
                is_folder=name in listed.folders or ("/" in name and path.is_dir()),
            )

    def _source(self, path: Path) -> Source:
        status = status_of(path)
        if os.geteuid() == 0:  # else the status says enough
            check_links(path)  # before anything of it is shown, as the first line of a table
        kind, compression, guessed = self.kinds.what(path)
        return Source(
            path=str(path), kind=kind, compression=compression, size=status.st_size, mtime_ns=status.st_mtime_ns,
            inode=status.st_ino, ctime_ns=status.st_ctime_ns, guessed=guessed,
            text_field=self.wanted.field_of(str(path)), encoding=self._encoding_of(kind),
        )  # fmt: skip

    def _excluded(self, path: Path) -> bool:
        return self.excluded is not None and self._is_in_output(self.real_path(path))

    def _is_in_output(self, real: str) -> bool:
        if self.excluded is None:
            return False
        return real == self.excluded or real.startswith(f"{self.excluded.rstrip('/')}/")


def _refuse_twice(found: Sequence[Source], real_path: RealPath) -> None:
    """Raises: BadInput if a file is there twice."""

    def real(source: Source) -> str:
        return source.path if source.path == STDIN or source.is_remote else real_path(source.path)

    hashes = array("q", (hash(real(source)) for source in found))  # a set of a million paths takes 200 MB
    in_order = sorted(hashes)
    twice = {one for one, after in pairwise(in_order) if one == after}
    seen: dict[str, str] = {}
    for source in (source for source, one in zip(found, hashes, strict=True) if one in twice) if twice else ():
        if (path := real(source)) in seen:
            also = "" if seen[path] == source.path else f" (also as {printable(seen[path])})"
            raise BadInput(f"{printable(source.path)} is given twice{also}", do="name each input once")
        seen[path] = source.path
