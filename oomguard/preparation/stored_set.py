"""A folder of shards as it lies there: which format, which shards, and what a manifest says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.encoding.encodings import ENCODINGS
from oomguard.preparation.writing.formats.base import FinishedSet, FinishedShard, Layout
from oomguard.preparation.writing.formats.table import FORMATS
from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest
from oomguard.preparation.writing.token_sink import EncodedPiece, Totals
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.writing.formats.base import OutputFormat
    from oomguard.preparation.writing.formats.stored import StoredShard
    from oomguard.preparation.writing.manifest import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSet:
    """The shards of a folder. What no manifest says is None: it is not guessed."""

    folder: Path
    output: OutputFormat
    shards: tuple[StoredShard, ...]
    layout: Layout | None
    spec: EncodingSpec | None
    eot: str | None  # before, after, none
    progress: Progress | None

    @property
    def has_ends(self) -> bool:
        """Whether the files say where documents end."""
        return all(shard.has_ends for shard in self.shards)


def open_set(folder: Path, *, encoding: str | None = None) -> StoredSet:
    """Look at a folder; `encoding` names the tokenizer where no manifest does.

    Raises: NothingFound if it holds no shards; BadInput if one is damaged, or the run that makes them is not finished.
    """
    name = printable(str(folder))
    if not folder.is_dir():
        raise NothingFound(f"{name} is not a directory", do="give the folder that the shards are in")
    progress, header = _manifest(folder)
    known = str(header.get("encoding") or "")
    spec = ENCODINGS.get(encoding or known)
    layout = _layout(header, spec)
    output, shards = _find(folder, str(header.get("format") or ""), layout, spec)
    if not shards:
        raise NothingFound(
            f"{name} holds no shards of a known format",
            do=f"give a folder with shards in one of these formats: {', '.join(FORMATS)}",
        )
    return StoredSet(
        folder=folder,
        output=output,
        shards=tuple(shards),
        layout=layout,
        spec=spec,
        eot=header.get("eot"),
        progress=progress,
    )


def _manifest(folder: Path) -> tuple[Progress | None, dict[str, Any]]:
    state = folder / STATE_FOLDER
    if not (state / "manifest.jsonl").is_file():
        return None, {}
    progress = Manifest.peek(state)
    if progress.result is None:
        raise BadInput(
            f"{printable(str(folder))}: the run that makes these shards is not finished",
            do="run its command again, which resumes from the last checkpoint",
        )
    return progress, progress.header


def _layout(header: dict[str, Any], spec: EncodingSpec | None) -> Layout | None:
    output = FORMATS.get(str(header.get("format")))
    width = header.get("token_bytes") or (output.token_bytes(spec.vocabulary_size) if output and spec else None)
    if output is None or width is None:
        return None
    return Layout(
        name=header["name"],
        token_bytes=width,
        shard_tokens=header["shard_tokens"],
        block_size=header.get("block_size"),
        tokenizer=header.get("encoding") or "",
    )


def _find(
    folder: Path, told: str, layout: Layout | None, spec: EncodingSpec | None
) -> tuple[OutputFormat, list[StoredShard]]:
    """The manifest knows the format; else the first whose files are there, bare tokens last."""
    if told in FORMATS:
        return FORMATS[told], FORMATS[told].stored_shards(folder, known=layout)
    last = ("olmo", "nanogpt")
    for output in sorted(FORMATS.values(), key=lambda each: each.name in last):
        width = Layout(name="", token_bytes=output.token_bytes(spec.vocabulary_size)) if spec else None
        shards = output.stored_shards(folder, known=width)
        if shards:
            return output, shards
    return next(iter(FORMATS.values())), []


# The tokens of stored shards as pieces for the writer: checked, of the right width, with the ends of documents.


_SIGNED = ("megatron", "litdata")  # whose four bytes are int32


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionSource:
    """What is read, and how ends of documents are found: see conversion_rules.Ends."""

    shards: tuple[StoredShard, ...]
    ends: str
    eot: int | None
    output: OutputFormat
    layout: Layout

    @property
    def ends_known(self) -> bool:
        """Whether documents can be counted."""
        return self.ends in ("after", "before") or all(shard.has_ends for shard in self.shards)

    def pieces(self, position: dict[str, int]) -> Iterator[EncodedPiece]:
        """All pieces from a position on, which an earlier piece carried.

        Raises: BadInput for an id that the new format cannot hold, or a document without its end-of-text token.
        """
        number = position.get("shard", 0)
        skip = position.get("piece", 0)
        for at, shard in enumerate(self.shards[number:], number):
            first = at == 0 or self.shards[at - 1].split != shard.split
            for count, (values, ends) in enumerate(shard.pieces(), 1):
                if count > skip:
                    yield self._piece(shard, values, ends, begins=first and count == 1, at=(at, count))
            skip = 0

    def _piece(self, shard: StoredShard, values: Any, ends: Any, *, begins: bool, at: tuple[int, int]) -> EncodedPiece:
        import numpy as np

        self._check_ids(shard, values)
        documents = len(ends)
        if self.ends == "checked":
            self._check_ends(shard, values, ends)
        elif self.ends in ("after", "before"):
            found = np.flatnonzero(values == self.eot)
            documents = len(found)
            ends = found + 1 if self.ends == "after" else found[int(begins and documents > 0 and found[0] == 0) :]
        elif self.ends != "stored":
            ends = ends[:0]
        own = np.ascontiguousarray(ends, np.int64)
        split: Literal["train", "val"] = "val" if shard.split == "val" else "train"
        return EncodedPiece(
            tokens=memoryview(np.ascontiguousarray(values, f"<u{self.layout.token_bytes}").tobytes()),
            ends=memoryview(own.tobytes()).cast("q"),
            split=split,
            count=Totals(tokens=len(values), documents=documents),
            position={"shard": at[0], "piece": at[1]},
        )

    def _check_ids(self, shard: StoredShard, values: Any) -> None:
        width = self.layout.token_bytes
        most = 2**31 if width == 4 and self.output.name in _SIGNED else 1 << 8 * width
        if len(values) and not (int(values.min()) >= 0 and int(values.max()) < most):
            worst = int(values.min()) if int(values.min()) < 0 else int(values.max())
            raise BadInput(
                f"{printable(str(shard.path))}: id {worst:,} does not fit in {width} bytes of --format "
                f"{self.output.name}",
                do=f"oomguard inspect {shell_word(str(shard.path.parent))}",
            )

    def _check_ends(self, shard: StoredShard, values: Any, ends: Any) -> None:
        """Each document ends with the token that is to stand for its end, and no other place has it."""
        import numpy as np

        if not np.array_equal(np.flatnonzero(values == self.eot) + 1, ends):
            raise BadInput(
                f"{printable(str(shard.path))}: not every document ends with id {self.eot}, or others hold it, "
                "so it cannot show where documents end",
                do="--lossy instead of --eot-token, to do without document ends",
            )

    def finished_set(self, out: Path, shards: list[dict[str, Any]], spec: Any) -> FinishedSet:
        """For notes and the next command."""
        return FinishedSet(
            folder=str(out.absolute()),
            shards=tuple(FinishedShard.of(shard) for shard in shards),
            layout=self.layout,
            vocabulary_size=spec.vocabulary_size if spec else 1 << 8 * self.layout.token_bytes - 1,
            eot=self.eot or 0,
            is_converted=True,
        )


def extras_of(found: StoredSet) -> list[str]:
    """What stands beside the tokens of shards that others wrote, and no other format has."""
    if found.progress is not None:
        return []
    name, folder = found.output.name, found.folder
    if name == "olmo":
        return ["id, src and loc of the documents (.csv.gz)"]
    if name == "datatrove" and any(folder.rglob("*.ds.loss")):
        return ["the loss masks (.ds.loss)"]
    return []
