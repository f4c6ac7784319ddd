"""Which files a run reads: from files, folders, globs and "-" to a list in a fixed order."""

from __future__ import annotations

import glob
import os
import re
import shlex
import stat
from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase as fnmatch
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.reading.first_look import require_field
from oomguard.preparation.reading.folders import contents_of
from oomguard.preparation.reading.kinds import BY_EXTENSION, COMPRESSIONS, KINDS, KNOWN
from oomguard.preparation.reading.recognising import begins_as_json_lines, is_binary, recognise
from oomguard.preparation.reading.source import REMOTE, STDIN, Source, SourceList, open_here
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from oomguard.preparation.reading.kinds import Compression, InputFormat, Kind
    from oomguard.preparation.reading.recognising import Recognised

_LOOKED_INTO = ("jsonl", "json", "csv", "tsv")  # whatever their names say
_BINARY = ("parquet", "arrow", "tar", "warc")  # no line of characters begins so
_TEXTS = 64  # that are looked into: of a corpus they are alike
_STATE = ".oomguard"
_NUMBERS = re.compile("[0-9]+")
_STORE = re.compile("([a-z][a-z0-9]{1,9})://")
_OTHER_NAMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}  # of Spark, fsspec
_READ = "hf:// s3:// gs:// and https:// are"
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HOSTS = ("huggingface.co/datasets/", "hf.co/datasets/", "www.huggingface.co/datasets/")
_LISTED = 5  # file names shown in an error
_KINDS_LISTED = 8  # of what was passed over


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a run reads, and what a person should know of how it was found."""

    sources: Sequence[Source]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the options say of the inputs."""

    format: InputFormat = "auto"  # what all of them are, whatever their names
    text_field: str = "text"
    field_asked: bool = False  # a field was named: then what has no known name is no text, if it can be otherwise
    fields: tuple[tuple[str, str], ...] = ()  # of the inputs that match a glob, in place of `text_field`
    encoding: str = ""  # of characters; "": UTF-8
    subset: str | None = None  # of a dataset on the Hub, as its card names it
    cache: str | None = None  # a folder where files of servers are kept, and read from there
    fetch: bool = True  # what is not in it yet
    known: tuple[str, ...] = ()  # inputs of an earlier run there: what is on a server is taken in the same version
    check_fields: bool = False  # a file without its field is an error, which is said at once
    skips_bad: bool = False  # files that cannot be read are left out

    def field_of(self, *paths: str) -> str:
        """The field with the text in this input, which may have an address and a path."""
        for pattern, column in self.fields:
            if any(_is_meant(pattern, path) for path in paths):
                return column
        return self.text_field


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
    real_path = _RealPath()
    excluded = None if exclude is None else real_path(exclude)
    if wanted.subset is not None and not all(given.startswith(REMOTE) for given in inputs or [""]):
        raise BadInput(
            f"--subset {printable(wanted.subset)} is only for a dataset on the Hub",
            do=f"oomguard prepare hf://datasets/OWNER/NAME --subset {shell_word(wanted.subset)}",
        )
    finder = _Finder(folder=folder, excluded=excluded, wanted=wanted, real_path=real_path)
    sources = SourceList()
    for given in inputs or (None,):
        before = len(sources)
        for source in finder.folder_itself() if given is None else finder.expand(given):
            sources.append(source)
        if len(sources) == before:
            raise finder.nothing(given)
    _refuse_twice(sources, real_path)
    for pattern, column in wanted.fields:
        if pattern not in finder.matched and not any(_is_meant(pattern, one.path) for one in sources):
            raise BadInput(
                f"--text-field {printable(pattern)}={printable(column)}: no input matches {printable(pattern)}",
                do="--text-field 'GLOB=FIELD', where the glob matches a path or a file's name as it is shown",
            )
    return Found(sources=sources, notes=(*finder.recognised_words(), *finder.passed_over_words()))


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


def _is_meant(pattern: str, path: str) -> bool:
    """Whether a glob of --text-field matches a path, or its name."""
    return fnmatch(path, pattern) or fnmatch(Path(path).name, pattern)


class _RealPath:
    """os.path.realpath(), which asks for the links of a folder once for all of the files in it."""

    def __init__(self) -> None:
        self._folder, self._real = "", ""

    def __call__(self, path: Path | str) -> str:
        text = os.fspath(path)
        name = text.rpartition("/")[2]
        if name in ("", ".", "..") or os.path.islink(text):  # noqa: PTH114 - a str, which costs a third
            return os.path.realpath(text)
        folder = text[: -len(name)]
        if not self._real or folder != self._folder:
            self._folder, self._real = folder, os.path.realpath(folder).rstrip("/")
        return f"{self._real}/{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finder:
    folder: Path
    excluded: str | None  # the output folder, as it is without links
    real_path: _RealPath
    wanted: Wanted
    passed_over: Counter[str] = field(default_factory=Counter)  # how many files, by their endings
    recognised: dict[Kind, tuple[str, int]] = field(default_factory=dict)  # the first, and how many
    looked_into: Counter[Kind] = field(default_factory=Counter)  # of texts, and
    json_texts: list[str] = field(default_factory=list)  # those that look like JSON Lines
    matched: set[str] = field(default_factory=set)  # globs of --text-field that match an address

    def folder_itself(self) -> Iterator[Source]:
        entries = _list(self.folder)
        paths = (self.folder / name for name in entries.names if name not in entries.folders)
        return (self._source(path) for path in paths if not self._excluded(path) and self._is_taken(path))

    def nothing(self, given: str | None) -> NothingFound:
        """Say that an input gives no file."""
        if given is None:
            return NothingFound(
                f"no corpus files in {printable(str(self.folder.absolute()))}: {KNOWN}{self._but()}",
                do="oomguard prepare FILE_OR_FOLDER",
            )
        if given.startswith(REMOTE):
            return NothingFound(
                f'"{printable(given)}" names nothing that is read from a server{self._but()}',
                do="name files, folders or globs of .parquet, .jsonl or .txt; --input-format says what others are",
            )
        path = self.folder / given
        return NothingFound(
            f'"{printable(given)}" {_why_nothing(given, path)}{self._but()}', do=self._instead(given, path)
        )

    def recognised_words(self) -> Iterator[str]:
        """Say which files are read as what their first bytes say, a line for each kind."""
        for kind, (first, count) in self.recognised.items():
            more = f" and {count - 1:,} more" if count > 1 else ""
            name = KINDS[kind].words
            yield f"{first}{more}: read as {name}, which the first bytes show (as text: --input-format text)"
        if self.json_texts:
            more = f" and {len(self.json_texts) - 1:,} more" if len(self.json_texts) > 1 else ""
            what = "read as text, as the name says, though its lines are JSON objects"
            yield f"{self.json_texts[0]}{more}: {what} (a field of each: --input-format jsonl)"

    def passed_over_words(self) -> tuple[str, ...]:
        """Say in one line what folders held that is not read, if anything."""
        if not self.passed_over:
            return ()
        kinds, count = list(self.passed_over), self.passed_over.total()
        more = " ..." if len(kinds) > _KINDS_LISTED else ""
        files = "1 file" if count == 1 else f"{count:,} files"
        return (f"ignored: {files} ({printable(' '.join(kinds[:_KINDS_LISTED]))}{more})",)

    def _but(self) -> str:
        return "".join(f"; {words}" for words in self.passed_over_words())

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
        for entry in sorted(entries, key=lambda one: _natural(one.address)):
            name = entry.address.rpartition("/")[2]
            extension, compression = _split_name(name)
            kind = _kind_of(name) or (self.wanted.format if self.wanted.format != "auto" else None)
            if kind is None and entry.named and extension == ".json":
                kind = "jsonl"
            if kind is None or kind == "arrow":
                self.passed_over[_ending(name)] += 1
                continue
            kind = kind if self.wanted.format == "auto" else self.wanted.format
            self.matched.update(pattern for pattern, _ in self.wanted.fields if _is_meant(pattern, entry.address))
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
        for name in sorted(glob.glob(anywhere, recursive=True), key=_natural):  # noqa: PTH207 - Path's takes no "/a/*"
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
            elif not self._is_in_output(entry.real) and self._is_taken(entry.path):
                yield entry.path

    def _entries(self, folder: Path, real: str, seen: set[str]) -> Iterator[_Entry]:
        """What is read of one folder, which is `real` without links; of one that was seen, nothing."""
        if real in seen or self._is_in_output(real):  # seen: a link that leads back up
            return
        seen.add(real)
        listed = _list(folder)
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

    def _is_taken(self, path: Path) -> bool:
        """Whether a folder gives this file; if not, it is noted."""
        extension, compression = _split_name(path.name)
        taken = _kind_of(path.name) is not None
        if extension == ".json" and path.is_file():
            # A folder of parquet has its dataset_infos.json, and one of a model its config.json.
            taken = self.wanted.format != "auto" or self._is_json(path, compression)
        if extension in (".csv", ".tsv") and path.is_file() and self.wanted.format == "auto":
            taken = self._has_column(path, compression)  # what describes other files is a table, too
        if not taken:
            self.passed_over[_ending(path.name)] += 1
        return taken

    def _is_json(self, path: Path, compression: Compression | None) -> bool:
        try:
            return recognise(path, compression).holds_field(self.wanted.field_of(str(path)))
        except BadInput:
            return True  # that it cannot be read is said where it is opened

    def _has_column(self, path: Path, compression: Compression | None) -> bool:
        kind = BY_EXTENSION[_split_name(path.name)[0]]
        if self.wanted.encoding:
            return True
        try:
            require_field(kind, recognise(path, compression).head, self.wanted.field_of(str(path)), path.name)
        except BadInput:
            return False
        return True

    def _source(self, path: Path) -> Source:
        status = _status_of(path)
        if os.geteuid() == 0:  # else the status says enough
            _check_links(path)  # before anything of it is shown, as the first line of a table
        kind, compression, guessed = self._what(path)
        return Source(
            path=str(path), kind=kind, compression=compression, size=status.st_size, mtime_ns=status.st_mtime_ns,
            inode=status.st_ino, ctime_ns=status.st_ctime_ns, guessed=guessed,
            text_field=self.wanted.field_of(str(path)), encoding=self._encoding_of(kind),
        )  # fmt: skip

    def _what(self, path: Path) -> tuple[Kind, Compression | None, bool]:
        """Give the kind, the compression, and whether the kind is a guess."""
        shown = printable(str(path))
        extension, compression = _split_name(path.name)
        named: Kind | None = "jsonl" if extension == ".json" else BY_EXTENSION.get(extension)
        if extension == ".tgz":
            compression = "gz"
        wanted = None if self.wanted.format == "auto" else self.wanted.format
        looked: Recognised | None = None
        if (named is None or named in _LOOKED_INTO) and not self.wanted.encoding:
            looked = self._look_into(path, compression, named)
            compression = compression if looked is None else looked.compression
        kind = wanted or named
        if kind == "text" and wanted is None and compression is None and self.looked_into["text"] < _TEXTS:
            self.looked_into["text"] += 1
            if begins_as_json_lines(path):
                self.json_texts.append(shown)
        if kind is not None and KINDS[kind].seeks and compression:
            raise BadInput(
                f"{shown} is a compressed {kind} file; {kind} compresses its own contents, and is read by seeking in "
                "it",
                do="decompress the file first",
            )
        if wanted is None and looked is not None:
            kind = self._by_content(named, looked.kind, path) or kind
        if kind is None and looked is not None and is_binary(looked.head):
            raise BadInput(
                f"{shown} is binary, not text",
                do="--input-format text --errors replace, if it is text all the same",
            )
        if kind is None and compression and (looked is None or not looked.head):  # not looked into
            return ("jsonl", compression, False) if self.wanted.field_asked else ("text", compression, True)
        if self.wanted.check_fields and looked is not None and kind is not None:
            require_field(kind, looked.head, self.wanted.field_of(str(path)), shown)
        return kind or "text", compression, False

    def _look_into(self, path: Path, compression: Compression | None, named: Kind | None) -> Recognised | None:
        try:
            return recognise(path, compression)
        except BadInput:
            if named is None or not self.wanted.skips_bad:
                raise
            return None  # a bad file among others, which is named when it is read

    def _by_content(self, named: Kind | None, found: Kind | None, path: Path) -> Kind | None:
        """What a file is by its first bytes, if its name says nothing, or what it cannot be."""
        is_array = named == "jsonl" and found == "json"
        if found is None or found == named or not (named is None or is_array or found in _BINARY):
            return None
        if not (is_array and _split_name(path.name)[0] == ".json"):  # else the name says both
            first, count = self.recognised.get(found, (printable(str(path)), 0))
            self.recognised[found] = first, count + 1
        return found

    def _excluded(self, path: Path) -> bool:
        return self.excluded is not None and self._is_in_output(self.real_path(path))

    def _is_in_output(self, real: str) -> bool:
        if self.excluded is None:
            return False
        return real == self.excluded or real.startswith(f"{self.excluded.rstrip('/')}/")

    def _instead(self, given: str, path: Path) -> str:
        if _HUB_NAME.fullmatch(given) and not path.parent.exists():
            on_hub = f"oomguard prepare hf://datasets/{shell_word(given)}"
            return f"there is no such file; for a dataset on the Hub: {on_hub}"
        if given.startswith(_HOSTS):
            return f"oomguard prepare {shell_word(f'https://{given}')}"
        near = path if path.is_dir() else path.parent
        near = near if near.is_dir() else self.folder
        try:
            names = [near / name for name in _list(near).names if _kind_of(name)]
        except BadInput:
            names = []
        if not names and self.passed_over and path.is_dir():
            return f"name the files if they are text: {shlex.quote(printable(str(path)))}/*"
        if not names:
            return "oomguard prepare FILE_OR_FOLDER"
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"found there: {', '.join(printable(str(name)) for name in names[:_LISTED])}{more}"


def _why_nothing(given: str, path: Path) -> str:
    if given and path.is_dir():
        return f"holds no corpus files: {KNOWN}"
    return "matches no file" if glob.has_magic(given) else "does not exist"


@dataclass(frozen=True, slots=True)
class _Entry:
    path: Path
    real: str  # without links
    is_folder: bool


@dataclass(frozen=True, slots=True)
class _Listed:
    names: list[str]  # in natural order
    folders: set[str]
    links: set[str]


def _list(folder: Path) -> _Listed:
    """What is in a folder."""
    listed = _Listed([], set(), set())
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                listed.names.append(entry.name)
                if entry.is_symlink():
                    listed.links.add(entry.name)
                if _leads_to_a_folder(entry):
                    listed.folders.add(entry.name)
    except OSError as error:
        raise BadInput(
            f"may not list {printable(str(folder))}: {error.strerror}", do=f"ls -ld {shell_word(str(folder))}"
        ) from error
    # As by _natural_name, in two steps: a million pairs of a key and a name take 60 MB more.
    listed.names.sort()
    listed.names.sort(key=_as_sorted_name)
    return listed


def _leads_to_a_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle: opening it says so
        return False


def _split_name(name: str) -> tuple[str, Compression | None]:
    """Give the extension below the compression, in small letters, and the compression."""
    stem, extension = _split_extension(name.lower())
    compression = COMPRESSIONS.get(extension)
    return (_split_extension(stem)[1] if compression else extension), compression


def _split_extension(name: str) -> tuple[str, str]:
    """Give a file's stem and suffix, as pathlib does, in a tenth of the time."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def _kind_of(name: str) -> Kind | None:
    extension, compression = _split_name(name)
    kind = BY_EXTENSION.get(extension)
    return None if kind is not None and KINDS[kind].seeks and compression else kind


def _ending(name: str) -> str:
    """Give the extension as a list of them names it: ".csv", ".tar.gz"."""
    extension, _ = _split_name(name)
    return "".join(dict.fromkeys((extension, Path(name.lower()).suffix))) or "without an extension"


def _check_links(path: Path) -> None:
    """Raises: BadInput where another user's link leads to what is not that user's."""
    try:
        os.close(open_here(str(path)))
    except OSError as error:
        name = shell_word(str(path))
        # Where a link of another user's leads: who gives that name means it.
        do = f'oomguard prepare "$(readlink -f {name})"' if isinstance(error, PermissionError) else f"ls -l {name}"
        raise BadInput(f"{printable(str(path))} cannot be opened: {error.strerror}", do=do) from error


def _status_of(path: Path) -> os.stat_result:
    """Raises: BadInput if it cannot be read as a file."""
    shown = printable(str(path))
    do = f"ls -l {shell_word(str(path))}"
    try:
        status = path.stat()
    except OSError as error:
        raise BadInput(f"{shown} cannot be opened: {error.strerror}", do=do) from error
    if not stat.S_ISREG(status.st_mode):
        what = "a pipe" if stat.S_ISFIFO(status.st_mode) else "a device or socket"
        raise BadInput(f"{shown} is {what}, not a file", do=f"cat {shell_word(str(path))} | oomguard prepare -")
    if not os.access(path, os.R_OK, effective_ids=True):
        raise BadInput(f"{shown} may not be read", do=do)
    return status


def _refuse_twice(found: Sequence[Source], real_path: _RealPath) -> None:
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


def _natural(path: Path | str) -> list[tuple[str, str]]:
    """Sort "part2" before "part10", folder by folder."""
    return [_natural_name(name) for name in Path(path).parts]


def _natural_name(name: str) -> tuple[str, str]:
    """Where a name is among those of its folder. A number is how many digits it has, and then those.

    In front of it stands what no name has, and sorts before all that may follow a text. A string, since a million of
    lists would take gigabytes.
    """
    return _as_sorted_name(name), name


def _as_sorted_name(name: str) -> str:
    return _NUMBERS.sub(_as_sorted, name)


def _as_sorted(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"\0{chr(len(digits))}{digits}"
