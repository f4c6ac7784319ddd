"""What is wanted of the inputs, and what a file is: by its name and its first bytes, or as it was asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.reading.first_look import require_field
from oomguard.preparation.reading.kinds import BY_EXTENSION, KINDS, ending, kind_of, split_name
from oomguard.preparation.reading.recognising import begins_as_json_lines, is_binary, recognise
from oomguard.text import printable

if TYPE_CHECKING:
    from oomguard.preparation.reading.input_notes import InputNotes
    from oomguard.preparation.reading.kinds import Compression, InputFormat, Kind
    from oomguard.preparation.reading.recognising import Recognised

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
                f"{shown} is a compressed {kind} file; {kind} compresses inside, and is read by seeking in it",
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
