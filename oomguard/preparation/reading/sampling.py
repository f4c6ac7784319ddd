"""Look at a corpus in a second or two: pieces from all over each file, read, decoded and encoded."""

from __future__ import annotations

import importlib
import json
import re
import time
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.encoding.load_engine import load_engine
from oomguard.preparation.reading.byte_stream import ByteStream
from oomguard.preparation.reading.corpus_sample import CorpusSample, SamplePiece, describe_corpus
from oomguard.preparation.reading.fields import find_field
from oomguard.preparation.reading.kinds import KINDS
from oomguard.preparation.reading.lines import parse_values
from oomguard.preparation.reading.pieces import ReadOptions, unpack
from oomguard.preparation.reading.text_shape import SMALL_INT
from oomguard.text import printable
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.reading.pieces import Piece
    from oomguard.preparation.reading.source import Source

_PIECES = 64
_PIECE = 64 * KIB
_FROM_START = 16 * MIB  # of decompressed text
_MOST_FILES = 200
_FOUR_BYTES = 0xF0  # UTF-8: a lead byte from here on begins a character beyond U+FFFF
_LONGEST_LINE = 8 * MIB
_SPARE = 64  # tokens of room that the core wants beyond one a byte
_SCRATCH_PER_BYTE = 40  # of memory for a long word
_BLANK_LINES = re.compile(r"\n[ \t]*\n")


def sample_corpus(
    sources: Sequence[Source], *, spec: EncodingSpec, text_field: str | None = None, separator: bytes = b""
) -> CorpusSample:
    """Estimate text, tokens and shape of a corpus from 4 MiB of it.

    `separator` divides documents in text; without it, blank lines count as that, for lack of a better sign.
    Raises: NothingFound if there is no text in what was looked at; BadInput if it cannot be read, or is a stream.
    """
    if any(source.size is None for source in sources):
        raise BadInput(
            "standard input can be read only once, so it cannot be sampled", do="save it in a file, then name the file"
        )
    if text_field is not None:
        sources = [replace(source, text_field=text_field) for source in sources]
    looked = _Look(separator.decode(errors="replace"))
    chosen = sources if len(sources) <= _MOST_FILES else sources[:: -(-len(sources) // _MOST_FILES)]
    everything = sum(source.size or 0 for source in sources)
    seen = sum(source.size or 0 for source in chosen)
    for source in chosen:
        looked.at(source, pieces=max(1, round(_PIECES * (source.size or 0) / max(1, seen))))
    if not any(document for piece in looked.pieces for document in piece.documents):
        raise NothingFound(
            "there is no text in the input, as far as it was looked at", do="oomguard prepare --help: --text-field"
        )
    counter = _Counter(spec, find_rank_file(spec))
    return describe_corpus(
        looked.pieces,
        of_bytes=round(looked.of_bytes * everything / seen) if seen else 0,
        disk_bytes=everything,
        counted=all(source.seekable_text for source in sources),
        from_start=looked.from_start,
        widest=looked.widest,
        count=counter.count,
        seconds=counter.seconds_a_byte,
    )


class _Counter:
    """Counts tokens, and takes the time: loading and the first words are not in it."""

    def __init__(self, spec: EncodingSpec, rank_file: Path) -> None:
        self._engine = load_engine(spec, rank_file)
        self._dtype = np.dtype(f"u{spec.token_bytes}")
        self._room = memoryview(bytearray())
        self._known: dict[int, tuple[int, int]] = {}
        self._bytes = self._seconds = 0.0

    def count(self, document: str) -> tuple[int, int]:
        if id(document) in self._known:
            return self._known[id(document)]
        text = document.encode(errors="replace")
        began = time.perf_counter()
        tokens = self._encode(text)
        self._seconds += time.perf_counter() - began
        self._bytes += len(text)
        found = self._known[id(document)] = (len(tokens), int(np.count_nonzero(tokens > SMALL_INT)))
        return found

    def _encode(self, text: bytes) -> npt.NDArray[np.uint32]:
        size = (len(text) + _SPARE) * self._dtype.itemsize
        if len(self._room) < size:
            self._room = memoryview(bytearray(size))
        room = self._room.cast("H" if self._dtype.itemsize == 2 else "I")
        count, _ = self._engine.encode(
            text, mark=b"", eot=-1, tokens=room, ends=memoryview(b""), before=0, scratch=_SCRATCH_PER_BYTE * len(text)
        )
        return np.frombuffer(room, self._dtype, count)

    def seconds_a_byte(self) -> float:
        return self._seconds / self._bytes if self._bytes else 0.0


@dataclass(slots=True)
class _Look:
    """Gathers pieces; `of_bytes` is what their `taken` bytes are a sample of."""

    separator: str
    pieces: list[SamplePiece] = field(default_factory=list)
    of_bytes: int = 0
    from_start: bool = False
    widest: str = ""

    def at(self, source: Source, *, pieces: int) -> None:
        if source.kind not in ("text", "jsonl", "parquet") or source.encoding:
            self._records(source)
        elif source.compression is not None:
            self._beginning(source)
        elif source.kind == "parquet":
            self._parquet(source, pieces)
        else:
            self.of_bytes += source.size or 0
            for data, start in _spread(source, pieces):
                self._add(source, data, cut_begin=start > 0, cut_end=True)

    def _add(self, source: Source, data: bytes, *, cut_begin: bool, cut_end: bool) -> None:
        if source.kind == "jsonl":
            begin = data.find(b"\n") + 1 if cut_begin else 0
            end = data.rfind(b"\n") + 1 if cut_end and len(data) >= _PIECE else len(data)
            if end > begin:
                self._lines(data[begin:end], source.text_field)
            return
        whole = _whole_characters(data)
        text = whole.decode(errors="replace")
        self.widest = max(self.widest, max(text, default=""))
        if self.separator:
            documents = text.split(self.separator)
            self.pieces.append(SamplePiece(documents=tuple(documents[1:] or documents), taken=len(whole)))
        else:
            self.pieces.append(SamplePiece(documents=tuple(_paragraphs(text)), taken=len(whole), text=text))

    def _lines(self, data: bytes, field: str) -> None:
        documents = []
        for line in data.splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            _, text = find_field(value, field) if isinstance(value, dict) else (False, None)
            if isinstance(text, str):
                documents.append(text)
        self.pieces.append(SamplePiece(documents=tuple(documents), taken=len(data)))

    def _records(self, source: Source) -> None:
        """What only a reader finds: from the begin of the file, as far as a sample goes."""
        module, _, function = KINDS[source.kind].reader.partition(":")
        read = getattr(importlib.import_module(f"oomguard.preparation.reading.{module}"), function)
        options = ReadOptions(family="gpt2", errors="skip", separator=self.separator.encode(), piece_bytes=_PIECE)
        total = source.size or 0
        if source.compression is not None:
            total, *_ = self._inflate(source)
        taken = before = 0
        pieces = read(source, options=options, resume=None, reserve=lambda *_: None)
        for piece in pieces:
            documents = _documents_of(piece, source.text_field)
            reached = piece.read_to or piece.resume.get("offset") or 0
            reached = max(before, reached + piece.resume.get("header", 0))
            self.pieces.append(SamplePiece(documents=documents, taken=max(1, reached - before)))
            taken, before = taken + len(piece.data), reached
            if taken >= _FROM_START:
                self.from_start = True
                break
        else:
            total = before
        self.of_bytes += total

    def _inflate(self, source: Source) -> tuple[int, list[bytes], bool]:
        """Give about how many bytes it holds, the first of them, and whether these are all."""
        with ByteStream(source, reserve=lambda *_: None) as stream:
            parts, size = [], 0
            while size < _FROM_START and (got := stream.read(MIB)):
                parts.append(got)
                size += len(got)
            compressed = min(stream.compressed_position(), source.size or 0)
        if size < _FROM_START or not compressed:
            return size, parts, True
        return round((source.size or 0) * size / compressed), parts, False

    def _beginning(self, source: Source) -> None:
        size, parts, is_whole = self._inflate(source)
        data = b"".join(parts)
        self.of_bytes += size
        self.from_start = self.from_start or not is_whole
        step = max(_PIECE, len(data) // _PIECES)
        for start in range(0, len(data), step):
            self._add(source, data[start : start + _PIECE], cut_begin=start > 0, cut_end=True)

    def _parquet(self, source: Source, pieces: int) -> None:
        from oomguard.preparation.reading.arrow_texts import find_column

        # isort: split
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(
                source.path, pre_buffer=False, buffer_size=_PIECE, page_checksum_verification=True
            ) as file:
                path = find_column(file.schema_arrow, source.text_field, printable(source.path))
                sizes = _column_sizes(file, ".".join(path))
                self.of_bytes += sum(sizes)
                step = max(1, -(-file.num_row_groups // pieces))
                for group in range(0, file.num_row_groups, step):
                    self._row_group(file, group, path, sizes[group])
        except OSError as error:  # Arrow's own for damaged data, too
            raise BadInput(
                f"{printable(source.path)} cannot be read, or is damaged: {error}", do="get the file again"
            ) from error
        except (pa.ArrowException, KeyError) as error:
            name, field = printable(source.path), printable(source.text_field)
            raise BadInput(
                f'{name}: no text could be read from column "{field}": {error}',
                do="--text-field NAME names the column",
            ) from error

    def _row_group(self, file: Any, group: int, path: tuple[str, ...], size: int) -> None:
        from oomguard.preparation.reading.arrow_texts import inner

        documents: list[str] = []
        found = rows = 0
        for batch in file.iter_batches(batch_size=16, row_groups=[group], columns=[".".join(path)]):
            column = inner(batch.column(batch.schema.get_field_index(path[0])), path[1:])
            texts = [text for text in column.to_pylist() if isinstance(text, str)]
            documents += texts
            rows += batch.num_rows
            found += sum(map(len, texts))
            if found > _PIECE:
                break
        total_rows = file.metadata.row_group(group).num_rows
        if rows:
            self.pieces.append(SamplePiece(documents=tuple(documents), taken=max(1, round(size * rows / total_rows))))


def _documents_of(piece: Piece, field: str) -> tuple[str, ...]:
    """The documents of a piece, as a worker finds them."""
    if piece.task in ("text", "lines"):
        lines = piece.data.split(b"\n") if piece.task == "lines" else []
        if not lines:
            return (piece.data.decode(errors="replace"),)
    else:
        text, sizes = unpack(memoryview(piece.data))
        ends = list(accumulate((max(size, 0) for size in sizes), initial=0))
        lines = [bytes(text[start:end]) for start, end in pairwise(ends)]
    if piece.task == "documents":
        return tuple(line.decode(errors="replace") for line in lines)
    found = parse_values(lines, field=field, errors="skip")
    return tuple(found.text[start:end].decode(errors="replace") for start, end in pairwise(found.offsets))


def _column_sizes(file: Any, name: str) -> list[int]:
    """Bytes of the column in each row group, decompressed, as the footer says."""
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    sizes = []
    for group in groups:
        columns = [group.column(number) for number in range(group.num_columns)]
        sizes.append(next((c.total_uncompressed_size for c in columns if c.path_in_schema == name), 0))
    return sizes


def _spread(source: Source, pieces: int) -> Iterator[tuple[bytes, int]]:
    """Pieces at even distances, and where each begins; a small file is one piece."""
    size = source.size or 0
    with open(source.path, "rb") as file:  # noqa: PTH123 - a str from the list of sources
        if size <= pieces * _PIECE:
            yield file.read(size), 0
            return
        for number in range(pieces):
            start = (size - _PIECE) * number // max(1, pieces - 1)
            file.seek(start)
            data = file.read(_PIECE)
            if source.kind == "jsonl" and data.count(b"\n") < 2:  # a long line: read on to its end
                data += file.read(_LONGEST_LINE)
            yield data, start


def _whole_characters(data: bytes) -> bytes:
    """Without the halves of characters at its ends."""
    start = 0
    while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    end = len(data)
    for back in range(1, min(4, len(data) - start) + 1):
        byte = data[end - back]
        if byte & 0xC0 == 0xC0:
            wants = 4 if byte >= _FOUR_BYTES else 3 if byte >= 0xE0 else 2
            end = end if wants <= back else end - back
            break
        if byte < 0x80:
            break
    return data[start:end]


def _paragraphs(text: str) -> list[str]:
    """What is between blank lines counts as a document, for lack of a better word for it."""
    return [part for part in _BLANK_LINES.split(text) if part] or [text]
