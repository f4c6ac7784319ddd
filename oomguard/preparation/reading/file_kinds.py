"""What is wanted of the inputs, what a file is by its name and first bytes, and what a person should know of it."""

from __future__ import annotations

import glob
import re
import shlex
from collections import Counter
from dataclasses import field
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.reading.first_look import require_field
from oomguard.preparation.reading.folders import list_folder
from oomguard.preparation.reading.kinds import BY_EXTENSION, KINDS, KNOWN, ending, kind_of, split_name
from oomguard.preparation.reading.recognising import begins_as_json_lines, is_binary, recognise
from oomguard.preparation.reading.source import REMOTE
from oomguard.records import dataclass
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.kinds import Compression, InputFormat, Kind
    from oomguard.preparation.reading.recognising import Recognised


# What a person should know of how inputs were found: recognised, passed over, or why there is nothing.


_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HOSTS = ("huggingface.co/datasets/", "hf.co/datasets/", "www.huggingface.co/datasets/")
_LISTED = 5  # file names shown in an error
_KINDS_LISTED = 8  # of what was passed over


@dataclass(frozen=True, slots=True)
class InputNotes:
    """Noted while inputs are looked for, from `folder` on."""

    folder: Path
    passed_over: Counter[str] = field(default_factory=Counter)  # how many files, by their endings
    recognised: dict[Kind, tuple[str, int]] = field(default_factory=dict)  # the first, and how many
    json_texts: list[str] = field(default_factory=list)  # that look like JSON Lines

    def words(self) -> tuple[str, ...]:
        """All of it."""
        return (*self._recognised_words(), *self._passed_over_words())

    def nothing(self, given: str | None) -> NothingFound:
        """Say that an input gives no file."""
        if given is None:
            return NothingFound(
                f"no corpus files in {printable(str(self.folder.absolute()))}: {KNOWN}{self._but()}",
                do="name a file or folder with text (.txt, .jsonl, .parquet, ...)",
            )
        if given.startswith(REMOTE):
            return NothingFound(
                f'"{printable(given)}" matches no file that is read from the server{self._but()}',
                do="name files, folders or globs of .parquet, .jsonl or .txt; --input-format says what others are",
            )
        path = self.folder / given
        return NothingFound(
            f'"{printable(given)}" {_why_nothing(given, path)}{self._but()}', do=self._instead(given, path)
        )

    def _recognised_words(self) -> Iterator[str]:
        """Say which files are read as what their first bytes say, a line for each kind."""
        for kind, (first, count) in self.recognised.items():
            more = f" and {count - 1:,} more" if count > 1 else ""
            name = KINDS[kind].words
            yield f"{first}{more}: read as {name}, which the first bytes show (as text: --input-format text)"
        if self.json_texts:
            more = f" and {len(self.json_texts) - 1:,} more" if len(self.json_texts) > 1 else ""
            what = "read as text, as the name says, though its lines are JSON objects"
            yield f"{self.json_texts[0]}{more}: {what} (a field of each: --input-format jsonl)"

    def _passed_over_words(self) -> tuple[str, ...]:
        """Say in one line what folders held that is not read, if anything."""
        if not self.passed_over:
            return ()
        kinds, count = list(self.passed_over), self.passed_over.total()
        more = " ..." if len(kinds) > _KINDS_LISTED else ""
        files = "1 file" if count == 1 else f"{count:,} files"
        return (f"ignored: {files} ({printable(' '.join(kinds[:_KINDS_LISTED]))}{more})",)

    def _but(self) -> str:
        return "".join(f"; {words}" for words in self._passed_over_words())

    def _instead(self, given: str, path: Path) -> str:
        if _HUB_NAME.fullmatch(given) and not path.parent.exists():
            on_hub = f"oomguard prepare hf://datasets/{shell_word(given)}"
            return f"there is no such file; for a dataset on the Hub: {on_hub}"
        if given.startswith(_HOSTS):
            return f"oomguard prepare {shell_word(f'https://{given}')}"
        near = path if path.is_dir() else path.parent
        near = near if near.is_dir() else self.folder
        try:
            names = [near / name for name in list_folder(near).names if kind_of(name)]
        except BadInput:
            names = []
        if not names and self.passed_over and path.is_dir():
            return f"name the files if they are text: {shlex.quote(printable(str(path)))}/*"
        if not names:
            return "name a file or folder with text (.txt, .jsonl, .parquet, ...)"
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"one of those that are there: {', '.join(printable(str(name)) for name in names[:_LISTED])}{more}"


def _why_nothing(given: str, path: Path) -> str:
    if given and path.is_dir():
        return f"holds no corpus files: {KNOWN}"
    return "matches no file" if glob.has_magic(given) else "does not exist"


_LOOKED_INTO = ("jsonl", "json", "csv", "tsv")  # whatever their names say
_BINARY = ("parquet", "arrow", "tar", "warc")  # no line of characters begins so
_TEXTS = 64  # that are looked into: of a corpus they are alike


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
            if any(is_meant(pattern, path) for path in paths):
                return column
        return self.text_field


def is_meant(pattern: str, path: str) -> bool:
    """Whether a glob of --text-field matches a path, or its name."""
    return fnmatch(path, pattern) or fnmatch(Path(path).name, pattern)


class FileKinds:
    """Tells what files are, and notes what a person should know of it."""

    def __init__(self, wanted: Wanted, notes: InputNotes) -> None:
        """Nothing was looked into yet."""
        self._wanted = wanted
        self._notes = notes
        self._looked_into: Counter[Kind] = Counter()  # of texts

    def takes(self, path: Path) -> bool:
        """Whether a folder gives this file; if not, it is noted."""
        extension, compression = split_name(path.name)
        taken = kind_of(path.name) is not None
        if extension == ".json" and path.is_file():
            # A folder of parquet has its dataset_infos.json, and one of a model its config.json.
            taken = self._wanted.format != "auto" or self._is_json(path, compression)
        if extension in (".csv", ".tsv") and path.is_file() and self._wanted.format == "auto":
            taken = self._has_column(path, compression)  # what describes other files is a table, too
        if not taken:
            self._notes.passed_over[ending(path.name)] += 1
        return taken

    def _is_json(self, path: Path, compression: Compression | None) -> bool:
        try:
            return recognise(path, compression).holds_field(self._wanted.field_of(str(path)))
        except BadInput:
            return True  # that it cannot be read is said where it is opened

    def _has_column(self, path: Path, compression: Compression | None) -> bool:
        kind = BY_EXTENSION[split_name(path.name)[0]]
        if self._wanted.encoding:
            return True
        try:
            require_field(kind, recognise(path, compression).head, self._wanted.field_of(str(path)), path.name)
        except BadInput:
            return False
        return True

    def what(self, path: Path) -> tuple[Kind, Compression | None, bool]:
        """Give the kind, the compression, and whether the kind is a guess."""
        shown = printable(str(path))
        extension, compression = split_name(path.name)
        named: Kind | None = "jsonl" if extension == ".json" else BY_EXTENSION.get(extension)
        if extension == ".tgz":
            compression = "gz"
        wanted = None if self._wanted.format == "auto" else self._wanted.format
        looked: Recognised | None = None
        if (named is None or named in _LOOKED_INTO) and not self._wanted.encoding:
            looked = self._look_into(path, compression, named)
            compression = compression if looked is None else looked.compression
        kind = wanted or named
        if kind == "text" and wanted is None and compression is None and self._looked_into["text"] < _TEXTS:
            self._looked_into["text"] += 1
            if begins_as_json_lines(path):
                self._notes.json_texts.append(shown)
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
            return ("jsonl", compression, False) if self._wanted.field_asked else ("text", compression, True)
        if self._wanted.check_fields and looked is not None and kind is not None:
            require_field(kind, looked.head, self._wanted.field_of(str(path)), shown)
        return kind or "text", compression, False

    def _look_into(self, path: Path, compression: Compression | None, named: Kind | None) -> Recognised | None:
        try:
            return recognise(path, compression)
        except BadInput:
            if named is None or not self._wanted.skips_bad:
                raise
            return None  # a bad file among others, which is named when it is read

    def _by_content(self, named: Kind | None, found: Kind | None, path: Path) -> Kind | None:
        """What a file is by its first bytes, if its name says nothing, or what it cannot be."""
        is_array = named == "jsonl" and found == "json"
        if found is None or found == named or not (named is None or is_array or found in _BINARY):
            return None
        if not (is_array and split_name(path.name)[0] == ".json"):  # else the name says both
            first, count = self._notes.recognised.get(found, (printable(str(path)), 0))
            self._notes.recognised[found] = first, count + 1
        return found
