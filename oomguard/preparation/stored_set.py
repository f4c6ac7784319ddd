"""A folder of shards as it lies there: which format, which shards, and what a manifest says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.encoding.encodings import ENCODINGS
from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS
from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest
from oomguard.text import printable

if TYPE_CHECKING:
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
