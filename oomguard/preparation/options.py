"""What a person may ask of `prepare`, checked and completed with what each format's anchor does."""

from __future__ import annotations

import codecs
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from oomguard.errors import BadInput
from oomguard.preparation.encoding.encodings import find_encoding, with_eot
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.engines.messages import BadFiles, EotPlace, ErrorPolicy, Newlines, Verify
from oomguard.preparation.reading.file_kinds import Wanted
from oomguard.preparation.reading.kinds import FORMATS, InputFormat
from oomguard.preparation.shuffle_rules import LARGEST_SEED
from oomguard.preparation.writing.formats.layout_options import find_format, new_layout
from oomguard.records import dataclass

if TYPE_CHECKING:
    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.writing.formats.base import Layout, OutputFormat

_ENCODING = "gpt2"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """All options of `oomguard prepare`; the defaults are the command's."""

    inputs: tuple[str, ...] = ()
    out: Path = Path("tokens")
    format: str = "nanogpt"
    encoding: str = _ENCODING
    tokenizer: str | None = None  # a tokenizer's file, or its name on the Hub, in place of `encoding`
    pattern: str | None = None  # how text is split, for a rank file that is not known
    eot_token: str | None = None  # the name or id of end-of-text; None: the tokenizer's
    workers: int | None = None  # None: one a CPU, as far as the budget allows
    shard_tokens: int | None = None  # None: as the format's anchor
    block_size: int | None = None  # None: as the format has it
    val_fraction: str | None = None  # None: as the format's anchor
    name: str | None = None  # of the shards; None: as the format's anchor
    separator: str = ""
    text_field: str | tuple[str, ...] | None = None  # a field, and GLOB=FIELD for some of the inputs; None: "text"
    input_encoding: str | None = None  # of characters; None: UTF-8
    cache: str | None = None  # a folder that keeps files of servers
    subset: str | None = None  # of a dataset on the Hub, as its card names it: NAME or NAME:SPLIT
    input_format: InputFormat = "auto"  # what all inputs are; auto: by names, else by first bytes
    eot: EotPlace | None = None  # None: as the format's anchor
    errors: ErrorPolicy = "strict"
    bad_files: BadFiles = "stop"
    newlines: Newlines = "bytes"
    verify: Verify = "sample"
    restart: bool = False
    extend: bool = False  # inputs are added to a finished run
    provenance: bool = False  # of each document: its source and its place there, in provenance-N.parquet
    last_shard: str = "keep"  # fold: one that is not full joins the one before it
    shuffle: int | None = None  # the seed of the order of documents; None: as the input has them

    def __post_init__(self) -> None:
        """Take what a caller of the library means: one input, a folder's name, a fraction as a number."""
        if isinstance(self.inputs, str):
            object.__setattr__(self, "inputs", (self.inputs,))
        object.__setattr__(self, "out", Path(self.out))
        if isinstance(self.text_field, list):
            object.__setattr__(self, "text_field", tuple(self.text_field))
        if self.val_fraction is not None:
            object.__setattr__(self, "val_fraction", str(self.val_fraction))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedOptions:
    """The same with every default filled in; what the shards' bytes depend on is in `identity`."""

    spec: EncodingSpec
    asked_encoding: str
    output: OutputFormat
    layout: Layout
    val_fraction: str | None  # None: shard 0 is for validation; "0": nothing is
    val_asked: bool
    eot: EotPlace
    separator: bytes
    wanted: Wanted  # of the inputs

    @property
    def shard_tokens(self) -> int | None:
        """Tokens of a full shard; None: one file a split."""
        return self.layout.shard_tokens

    @property
    def name(self) -> str:
        """What the shards' names begin with."""
        return self.layout.name

    @property
    def encoding_name(self) -> str:
        """What people call the tokenizer: the name or the file that they gave."""
        return self.spec.name if self.spec.file is not None else self.asked_encoding

    @property
    def text_field(self) -> str:
        """The field or column with the text."""
        return self.wanted.text_field


def resolve_options(options: PrepareOptions) -> ResolvedOptions:
    """Check the options and fill in what was left open.

    Raises: BadInput for a value that cannot be, naming those that can.
    """
    output = find_format(options.format)
    _require(options.errors, get_args(ErrorPolicy), "--errors")
    _require(options.bad_files, get_args(BadFiles), "--bad-files")
    _require(options.newlines, get_args(Newlines), "--newlines")
    _require(options.verify, get_args(Verify), "--verify")
    _require(options.input_format, FORMATS, "--input-format")
    if options.eot is not None:
        _require(options.eot, get_args(EotPlace), "--eot")
    if options.extend and options.restart:
        raise BadInput("--extend adds to what --restart removes", do="leave one of them out")
    if options.extend and options.last_shard == "fold":
        raise BadInput(
            "--extend fills the last shard up, and --last-shard fold joined it to the one before",
            do="--restart with all inputs; or leave --last-shard out, if the shards here were made without",
        )
    if options.shuffle is not None:
        _require_shuffle(options, options.shuffle)
    if options.workers is not None and options.workers < 1:
        raise BadInput(f"--workers {options.workers}: at least one is needed", do="leave --workers out: one per CPU")
    spec = _encoding(options)
    eot = options.eot or output.end_of_text(spec.family)
    spec = _with_its_end(spec, options, eot)
    layout = new_layout(
        output,
        token_bytes=output.token_bytes(spec.vocabulary_size),
        name=options.name,
        shard_tokens=options.shard_tokens,
        block_size=options.block_size,
        tokenizer=spec.name,
        last_shard=options.last_shard,
    )
    return ResolvedOptions(
        spec=spec,
        asked_encoding=options.encoding,
        output=output,
        layout=layout,
        val_fraction=_val_fraction(options, output),
        val_asked=options.val_fraction is not None,
        eot=eot,
        separator=_separator(options),
        wanted=_wanted(options),
    )


def _wanted(options: PrepareOptions) -> Wanted:
    asked = (options.text_field,) if isinstance(options.text_field, str) else options.text_field or ()
    fields = [_glob_and_field(one) for one in asked]
    names = [field for glob, field in fields if glob is None]
    if len(names) > 1:
        raise BadInput(
            f"--text-field is given twice: {names[0]} and {names[1]}",
            do=f"--text-field '{names[0]}|{names[1]}' (the first that exists), or --text-field GLOB=FIELD",
        )
    return Wanted(
        format=options.input_format,
        text_field=names[0] if names else "text",
        field_asked=bool(asked),
        fields=tuple((glob, field) for glob, field in fields if glob is not None),
        encoding=_input_encoding(options),
        subset=options.subset,
        cache=options.cache,
        check_fields=options.errors != "skip" and options.bad_files == "stop",
        skips_bad=options.bad_files == "skip",
    )


def _glob_and_field(asked: str) -> tuple[str | None, str]:
    """GLOB=FIELD, where what is before the first "=" looks like a file: it has a dot, a slash or a wildcard."""
    glob, equals, field = asked.partition("=")
    if equals and field and (set("*?[/.") & set(glob) or glob == "-"):
        return glob, field
    return None, asked


def _input_encoding(options: PrepareOptions) -> str:
    asked = options.input_encoding
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


def _encoding(options: PrepareOptions) -> EncodingSpec:
    """The tokenizer that was asked for."""
    if options.tokenizer is None:
        if options.pattern is not None:
            raise BadInput("--pattern belongs to a rank file", do="--tokenizer FILE.tiktoken, or leave --pattern out")
        spec = find_encoding(options.encoding)
        return spec if options.eot_token is None else with_eot(spec, options.eot_token, {"<|endoftext|>": spec.eot})
    if options.encoding != _ENCODING:
        raise BadInput("--encoding and --tokenizer both name a tokenizer", do="leave one of them out")
    from oomguard.preparation.encoding.tokenizer_files import open_tokenizer

    return open_tokenizer(options.tokenizer, pattern=options.pattern, eot_token=options.eot_token)


def _with_its_end(spec: EncodingSpec, options: PrepareOptions, eot: EotPlace) -> EncodingSpec:
    """The tokenizer, with the token that stands between documents as its end-of-text."""
    if options.tokenizer is None:
        return spec
    if eot == "before" and spec.bos >= 0 and options.eot_token is None:
        return replace(spec, eot=spec.bos)  # what the family's models have at the beginning of a document
    if eot != "none" and spec.eot < 0:
        raise BadInput(
            f"{spec.name}: it is not known which id ends a document",
            do="--eot-token with its name or id, or --eot none",
        )
    return spec


def _require_shuffle(options: PrepareOptions, seed: int) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise BadInput(f"--shuffle {seed}: a seed is a whole number from 0 to {LARGEST_SEED}", do="--shuffle 1")
    if options.extend:
        raise BadInput(
            "--extend adds after what is there, and --shuffle gives each new document a place among all others",
            do="--restart with all inputs, or --shuffle with another --out FOLDER",
        )


def _require(value: str, allowed: tuple[str, ...], flag: str) -> None:
    if value not in allowed:
        raise BadInput(f'unknown {flag} "{value}"', do=f"{flag} {' | '.join(allowed)}")


def _val_fraction(options: PrepareOptions, output: OutputFormat) -> str | None:
    asked = options.val_fraction
    if asked is None:
        return output.val_fraction
    try:
        fraction = Fraction(asked)
    except (ValueError, ZeroDivisionError):
        fraction = Fraction(-1)
    if not 0 <= fraction < 1 or len(asked) > 30:
        raise BadInput(
            f'--val-fraction "{asked[:40]}" is not a fraction',
            do="--val-fraction 0.0005 (below 1; 0: no validation file)",
        )
    return asked if fraction else "0"


def _separator(options: PrepareOptions) -> bytes:
    try:
        separator = _unescape(options.separator).encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"--separator {options.separator!r} is not UTF-8, and no document can be divided by it",
            do="--separator '<|endoftext|>'",
        ) from error
    # It is looked for in the text as that is read.
    return unify_newlines(separator) if options.newlines == "universal" else separator


_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "0": "\0", "\\": "\\"}


def _unescape(text: str) -> str:
    r"""Read \n, \r, \t, \f, \0, \x1e and \\: shells make a line feed hard to type, and a NUL impossible."""

    def character(escape: re.Match[str]) -> str:
        return chr(int(escape[2], 16)) if escape[2] else _ESCAPES.get(escape[1], escape[0])

    return re.sub(r"(?s)\\(x([0-7][0-9a-fA-F])|.)", character, text)
