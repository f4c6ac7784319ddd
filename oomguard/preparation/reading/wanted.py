"""What the options say of the inputs: their format, which field has the text, how its characters are written."""

from __future__ import annotations

import codecs
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.reading.kinds import FORMATS
from oomguard.records import dataclass

if TYPE_CHECKING:
    from oomguard.preparation.reading.kinds import InputFormat


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


def wanted_inputs(
    input_format: InputFormat,
    *,
    text_field: str | tuple[str, ...] | None,
    input_encoding: str | None,
    subset: str | None,
    cache: str | None,
    check_fields: bool,
    skips_bad: bool,
) -> Wanted:
    """Check what was asked, and read what is written in it: GLOB=FIELD, the name of an encoding.

    Raises: BadInput for a value that cannot be, naming those that can.
    """
    if input_format not in FORMATS:
        raise BadInput(f'unknown --input-format "{input_format}"', do=f"--input-format {' | '.join(FORMATS)}")
    asked = (text_field,) if isinstance(text_field, str) else text_field or ()
    fields = [_glob_and_field(one) for one in asked]
    names = [field for glob, field in fields if glob is None]
    if len(names) > 1:
        raise BadInput(
            f"--text-field is given twice: {names[0]} and {names[1]}",
            do=f"--text-field '{names[0]}|{names[1]}' (the first that exists), or --text-field GLOB=FIELD",
        )
    return Wanted(
        format=input_format,
        text_field=names[0] if names else "text",
        field_asked=bool(asked),
        fields=tuple((glob, field) for glob, field in fields if glob is not None),
        encoding=_input_encoding(input_encoding),
        subset=subset,
        cache=cache,
        check_fields=check_fields,
        skips_bad=skips_bad,
    )


def _glob_and_field(asked: str) -> tuple[str | None, str]:
    """GLOB=FIELD, where what is before the first "=" looks like a file: it has a dot, a slash or a wildcard."""
    glob, equals, field = asked.partition("=")
    if equals and field and (set("*?[/.") & set(glob) or glob == "-"):
        return glob, field
    return None, asked


def _input_encoding(asked: str | None) -> str:
    if asked is None:
        return ""
    try:
        found = codecs.lookup(asked)
        found.incrementaldecoder().decode(b"", final=True)
        "".encode(asked)  # only what is characters
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(
            f'--input-encoding "{asked}" is not a character encoding that Python knows',
            do="--input-encoding latin-1, cp1252, gbk, shift_jis, utf-16, ...: docs.python.org/3/library/codecs.html",
        ) from error
    return "" if found.name == "utf-8" else found.name
