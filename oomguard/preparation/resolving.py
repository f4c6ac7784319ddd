"""What a person asked of `prepare`, checked and completed with what each format's anchor does."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import get_args

from oomguard.errors import BadInput
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.encoding.tokenizer_choice import find_tokenizer, with_its_end
from oomguard.preparation.engines.messages import BadFiles, EotPlace, ErrorPolicy, Newlines, Verify
from oomguard.preparation.options import PrepareOptions, ResolvedOptions
from oomguard.preparation.reading.wanted import wanted_inputs
from oomguard.preparation.shuffle_rules import LARGEST_SEED
from oomguard.preparation.writing.formats.layout_options import find_format, new_layout


def resolve_options(options: PrepareOptions) -> ResolvedOptions:
    """Check the options and fill in what was left open.

    Raises: BadInput for a value that cannot be, naming those that can.
    """
    output = find_format(options.format)
    _require(options.errors, get_args(ErrorPolicy), "--errors")
    _require(options.bad_files, get_args(BadFiles), "--bad-files")
    _require(options.newlines, get_args(Newlines), "--newlines")
    _require(options.verify, get_args(Verify), "--verify")
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
    spec = find_tokenizer(options)
    eot = options.eot or output.end_of_text(spec.family)
    spec = with_its_end(spec, options, eot)
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
        val_fraction=_val_fraction(options.val_fraction, usual=output.val_fraction),
        val_asked=options.val_fraction is not None,
        eot=eot,
        separator=_separator(options),
        wanted=wanted_inputs(
            options.input_format,
            text_field=options.text_field,
            input_encoding=options.input_encoding,
            subset=options.subset,
            cache=options.cache,
            check_fields=options.errors != "skip" and options.bad_files == "stop",
            skips_bad=options.bad_files == "skip",
        ),
    )


def _require_shuffle(options: PrepareOptions, seed: int) -> None:
    if not 0 <= seed <= LARGEST_SEED:
        raise BadInput(f"--shuffle {seed}: a seed is a whole number from 0 to {LARGEST_SEED}", do="--shuffle 1")
    if options.provenance:
        raise BadInput(
            "--provenance follows the order of the input, and --shuffle changes it",
            do="leave --shuffle or --provenance out",
        )
    if options.extend:
        raise BadInput(
            "--extend adds after what is there, and --shuffle gives each new document a place among all others",
            do="--restart with all inputs, or --shuffle with another --out FOLDER",
        )


def _require(value: str, allowed: tuple[str, ...], flag: str) -> None:
    if value not in allowed:
        raise BadInput(f'unknown {flag} "{value}"', do=f"{flag} {' | '.join(allowed)}")


def _val_fraction(asked: str | None, *, usual: str | None) -> str | None:
    if asked is None:
        return usual
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
