"""Made-up tokens of documents, cut into pieces anywhere, and the shard files that they must become."""

import io
import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from pathlib import Path

import numpy as np

from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS
from oomguard.preparation.writing.manifest import Manifest
from oomguard.preparation.writing.shard_writer import ShardPlan
from oomguard.preparation.writing.token_sink import EncodedPiece, TokenSink, Totals


@dataclass
class Stream:
    """Documents with end-of-text, and how their shards are to be."""

    format: str
    shard_tokens: int | None = None
    val_fraction: str | None = None  # None: the first shard; "0": nothing
    token_bytes: int = 2
    seed: int = 1
    block_size: int | None = None
    documents: list[list[int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.documents:
            return
        chance = random.Random(self.seed)
        self.documents = [[chance.randrange(50000) for _ in range(chance.choice([0, 1, 2, 7, 40]))] for _ in range(30)]

    def pieces(self, start: dict[str, int], size: int) -> Iterator[EncodedPiece]:
        """Cut from a position on: all pieces but the last have `size` tokens, and begin and end within documents."""
        flat = [token for document in self.documents for token in document]
        ends = np.cumsum([len(document) for document in self.documents]).tolist()
        token, document = start.get("token", 0), start.get("document", 0)
        while token < len(flat) or document < len(ends):
            stop = min(token + size, len(flat))
            after = document
            while after < len(ends) and ends[after] <= stop:
                after += 1
            inside = np.array([end - token for end in ends[document:after]], np.longlong)
            yield EncodedPiece(
                tokens=memoryview(np.array(flat[token:stop], f"<u{self.token_bytes}").tobytes()),
                ends=memoryview(inside.tobytes()).cast("q"),
                split=None,
                count=Totals(tokens=stop - token, documents=after - document),
                position={"token": stop, "document": after},
            )
            token, document = stop, after

    def sides(self) -> dict[str, list[list[int]]]:
        """The documents of each split, by an independent and obvious way."""
        fraction = Fraction(self.val_fraction or 0)
        is_val = [ceil((number + 1) * fraction) > ceil(number * fraction) for number in range(len(self.documents))]
        sides: dict[str, list[list[int]]] = {"val": [], "train": []}
        for document, val in zip(self.documents, is_val, strict=True):
            sides["val" if val else "train"].append(document)
        return sides

    def expected(self) -> dict[str, bytes]:
        """The files of formats without documents, likewise."""
        fraction = Fraction(self.val_fraction or 0)
        files: dict[str, bytes] = {}
        for side, documents in self.sides().items():
            tokens = [token for document in documents for token in document]
            most = self.shard_tokens or max(1, len(tokens))
            shards = [tokens[at : at + most] for at in range(0, len(tokens), most)]
            for number, shard in enumerate(shards, 1 if fraction and side == "train" and self.shard_tokens else 0):
                split = "val" if self.val_fraction is None and number == 0 else side
                files[self.name(split, number)] = self.content(shard)
        return files

    def name(self, split: str, number: int) -> str:
        if self.format == "nanogpt":
            return f"{split}.bin"
        return f"x_{split}_{number:06d}.{'npy' if self.format == 'npy' else 'bin'}"

    def content(self, tokens: list[int]) -> bytes:
        array = np.array(tokens, f"<u{self.token_bytes}")
        if self.format == "npy":
            file = io.BytesIO()
            np.save(file, array)
            return file.getvalue()
        header = np.zeros(256, "<i4")
        header[:3] = 20240520, 1, len(tokens)
        return (header.tobytes() if self.format == "llmc" else b"") + array.tobytes()

    def sink(self, folder: Path, manifest: Manifest, *, checkpoint_seconds: float = 0.0) -> TokenSink:
        plan = ShardPlan(
            folder=folder,
            state=manifest.state,
            format=FORMATS[self.format],
            layout=Layout(
                name="x",
                token_bytes=self.token_bytes,
                shard_tokens=self.shard_tokens,
                block_size=self.block_size,
                tokenizer="gpt2",
            ),
            first_is_val=self.val_fraction is None,
        )
        by_document = self.val_fraction if self.val_fraction not in (None, "0") else None
        return TokenSink(plan, manifest, val_fraction=by_document, checkpoint_seconds=checkpoint_seconds)


def write_all(stream: Stream, folder: Path, *, size: int = 13, checkpoint_seconds: float = 0.0) -> TokenSink:
    """What a run does between its encoders and the disk: begin or go on, take all pieces, finish."""
    with closing(Manifest(folder)) as manifest:
        progress = manifest.begin({"stream": stream.seed}, restart=False)
        with closing(stream.sink(folder, manifest, checkpoint_seconds=checkpoint_seconds)) as sink:
            sink.resume(progress)
            for piece in stream.pieces(sink.position, size):
                sink.take(piece)
            sink.finish()
            return sink


def files_in(folder: Path) -> dict[str, bytes]:
    """All but the run's own state, by their names in the folder."""
    found = [file for file in folder.rglob("*") if file.is_file() and ".oomguard" not in file.parts]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}
