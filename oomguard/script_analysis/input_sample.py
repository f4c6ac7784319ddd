"""`--input`: what the corpus is like, from a few MiB of it, also where `prepare` would not take it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, OomguardError
from oomguard.preparation.reading.text_shape import SMALL_INT, TextShape, measure_shape
from oomguard.text import printable, shell_word
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.preparation.reading.corpus_sample import CorpusSample

_SAMPLE = 4 * MIB
_DEEPEST = 6  # objects in objects whose texts are taken
_BYTES_PER_TOKEN = 4.2  # where no tokenizer has counted: GPT-2's on English text, by words


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSample:
    """The input, as far as memory goes. Units: bytes."""

    shape: TextShape
    disk_bytes: int
    text_bytes: int
    bytes_per_token: float
    widest_character: str
    files: int
    largest_file_fraction: float  # of all text, that the largest file has
    documents: int


def sample_input(path: str, *, text_field: str | None = None) -> InputSample:
    """Look at some of the input.

    JSON that `prepare` cannot stream, and records without that field, are looked at here: a script takes them as it
    likes. Raises: BadInput if there is no text in it, or it cannot be read.
    """
    from oomguard.preparation.reading.sources import find_sources

    try:
        sources = find_sources([path], folder=Path(), exclude=None)
        sizes = [source.size or 0 for source in sources]
        return _from_corpus(_sample_corpus(sources, text_field or "text"), sizes, path)
    except OomguardError as error:
        own = None if text_field is not None else _sample_json(Path(path))
        if own is None:
            raise _no_text(path, text_field, error) from error
        return own


def _sample_corpus(sources: Any, text_field: str) -> CorpusSample:
    from oomguard.preparation.encoding.encodings import find_encoding
    from oomguard.preparation.reading.corpus_sample import sample_corpus

    return sample_corpus(sources, spec=find_encoding("gpt2"), text_field=text_field)


def _no_text(path: str, text_field: str | None, error: OomguardError) -> OomguardError:
    if "text" not in str(error):
        return error
    named = f' in the field "{printable(text_field)}"' if text_field else ""
    return BadInput(
        f"no text was found{named} in {printable(path)}",
        do=f"oomguard check SCRIPT --input {shell_word(path)} --text-field NAME",
    )


def _from_corpus(sample: CorpusSample, sizes: list[int], path: str) -> InputSample:
    text, disk = sample.text_bytes.value, sample.disk_bytes
    # Records hold every field; where the file is plain JSON Lines its own size says how much that is.
    plain = path.endswith((".jsonl", ".ndjson")) and not sample.from_start
    shape = replace(sample.shape, record_bytes=max(1.0, disk / text)) if plain and text else sample.shape
    return InputSample(
        shape=shape,
        disk_bytes=disk,
        text_bytes=text,
        bytes_per_token=sample.bytes_per_token,
        widest_character=sample.widest_character,
        files=len(sizes),
        largest_file_fraction=max(sizes, default=0) / (sum(sizes) or 1),
        documents=sample.documents,
    )


def _sample_json(path: Path) -> InputSample | None:
    """Look at the beginning of a JSON array, or of JSON Lines whatever their fields; None: it is neither."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(_SAMPLE)
            size = file.seek(0, 2)
    except OSError:
        return None
    records = list(_records(head.decode(errors="ignore")))
    documents = [text for record in records if (text := "\n".join(_texts(record)))]
    if not documents:
        return None
    taken = sum(len(document.encode(errors="replace")) + 1 for document in documents)
    shape = measure_shape(documents, _count_tokens)
    whole = size / min(size, len(head))
    return InputSample(
        shape=replace(shape, record_bytes=max(1.0, min(size, len(head)) / taken)),
        disk_bytes=size,
        text_bytes=int(taken * whole),
        bytes_per_token=_BYTES_PER_TOKEN,
        widest_character=max(map(max, documents)),
        files=1,
        largest_file_fraction=1.0,
        documents=int(len(documents) * whole),
    )


def _records(text: str) -> Iterable[Any]:
    """Give the values of an array, or those that stand one after the other, as far as they are whole."""
    decoder = json.JSONDecoder()
    at = len(text) - len(text.lstrip())
    if text[at : at + 1] == "[":
        at += 1
    while True:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        yield value


def _texts(value: Any, depth: int = 0) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)) and depth < _DEEPEST:
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one, depth + 1)


def _count_tokens(text: str) -> tuple[int, int]:
    """Estimate the tokens of a text, and those above 256, without a tokenizer."""
    count = max(1, round(len(text.encode(errors="replace")) / _BYTES_PER_TOKEN))
    return count, round(count * 0.83) if count > 1 and SMALL_INT else count
