"""`oomguard inspect`: what a folder of shards holds, and whether it is what was written."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.errors import edge
from oomguard.preparation.encoding.encodings import ENCODINGS, USUAL_ENCODING, find_rank_file
from oomguard.preparation.stored_set import open_set
from oomguard.preparation.writing.shard_check import sha256_of
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import RenderableType

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.stored_set import StoredSet
    from oomguard.preparation.writing.formats.stored import StoredShard

_SHOWN_TOKENS = 2000  # of the first document, at most
_SHOWN_FILES = 6
_SHOWN_TEXT = 300


# What `inspect` found.


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectedShard:
    """One file with tokens. None: not known."""

    path: str
    split: str
    dtype: str
    tokens: int
    documents: int | None  # that end in it, or by end-of-text tokens; one that is in both splits is in both counts
    highest_id: int | None
    out_of_range: int | None  # ids that the tokenizer does not have


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A folder of shards."""

    folder: str
    format: str
    encoding: str | None
    eot: str | None
    documents: int | None  # of the input: one that is in both splits is counted once
    shards: tuple[InspectedShard, ...]
    changed: tuple[str, ...]  # files that are not what the manifest says
    has_manifest: bool
    first_document: str | None
    first_ids: tuple[int, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong, as far as it is known."""
        return not self.changed and not any(shard.out_of_range for shard in self.shards)

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        for label, value in self._lines():
            screen.add_row(label, Text(value))
        return Group(screen)

    def _lines(self) -> list[tuple[str, str]]:
        files = "file" if len(self.shards) == 1 else "files"
        lines = [
            ("shards", f"{printable(self.folder)}  {self.format}, {len(self.shards)} {files} of tokens"),
            ("tokenizer", self._tokenizer()),
            ("tokens", f"{sum(shard.tokens for shard in self.shards):,}"),
            ("documents", self._documents()),
        ]
        for shard in self.shards[:_SHOWN_FILES]:
            highest = "" if shard.highest_id is None else f", ids up to {shard.highest_id:,}"
            lines.append(("", f"{printable(shard.path)}  {shard.tokens:,} tokens ({shard.dtype}{highest})"))
        if len(self.shards) > _SHOWN_FILES:
            lines.append(("", f"and {len(self.shards) - _SHOWN_FILES} more"))
        lines += [("ids", self._ids()), ("sha256", self._sums())]
        if self.first_document is not None:
            text = self.first_document[:_SHOWN_TEXT]
            more = " ..." if len(self.first_document) > _SHOWN_TEXT else ""
            lines.append(("begins", printable(text) + more))
        else:
            lines.append(("begins", " ".join(map(str, self.first_ids))))
        return lines

    def _tokenizer(self) -> str:
        if self.encoding is None:
            return "not known: no manifest says it; --encoding NAME"
        usual = USUAL_ENCODING if ENCODINGS[USUAL_ENCODING].name == self.encoding else ""  # its name everywhere else
        return f"{usual} ({self.encoding})" if usual else self.encoding

    def _documents(self) -> str:
        if self.documents is None:
            return "not known (no document ends, no tokenizer)"
        both = sum(shard.documents or 0 for shard in self.shards) - self.documents
        which = "" if self.documents == 1 else f"{both:,} of them "
        return f"{self.documents:,}" + (f" ({which}divided between train and val)" if both else "")

    def _ids(self) -> str:
        if self.encoding is None:
            return "not checked without a tokenizer"
        wrong = sum(shard.out_of_range or 0 for shard in self.shards)
        return f"{wrong:,} OUT OF RANGE of {self.encoding}" if wrong else "all in range"

    def _sums(self) -> str:
        if not self.has_manifest:
            return "not compared: there is no manifest"
        if not self.changed:
            return "all files match the manifest"
        return f"DIFFERENT from the manifest, or gone: {', '.join(map(printable, self.changed[:_SHOWN_FILES]))}"

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {"schema": "oomguard.inspection/1", **asdict(self), "sound": self.is_sound}


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedRow:
    """A document, or the part of it that is in one split."""

    document: int
    source: str
    offset: int  # in the source, of its begin
    unit: str  # byte or row
    split: str
    first_token: int  # of the split
    tokens: int
    shard: str | None  # in which the first one is; None: the shards have no such token
    token_in_shard: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Where a token, or a document, came from."""

    folder: str
    token: int | None  # in its split; None: a document was asked for
    id: int | None
    shard: str | None
    token_in_shard: int | None
    rows: tuple[TracedRow, ...]
    text: str | None  # the begin of the document; None: the tokenizer is not known
    token_text: str | None

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        for label, value in self._lines():
            screen.add_row(label, Text(value))
        return screen

    def _lines(self) -> list[tuple[str, str]]:
        first = self.rows[0]
        lines = []
        if self.token is not None:
            text = "" if self.token_text is None else f" {printable(repr(self.token_text))}"
            place = "" if self.shard is None else f", {self.token_in_shard:,} in {printable(self.shard)}"
            lines.append(("token", f"{self.token:,} of {first.split}{place}: id {self.id}{text}"))
        lines.append(("document", f"{first.document:,}, counted from 0 through the whole input"))
        lines.append(("source", f"{printable(first.source)}, from {first.unit} {first.offset:,} on"))
        for row in self.rows:
            place = "" if row.shard is None else f", from {row.token_in_shard:,} on in {printable(row.shard)}"
            lines.append(("tokens", f"{row.tokens:,} of {row.split}, from {row.first_token:,} on{place}"))
        if self.text is not None:
            more = " ..." if len(self.text) > _SHOWN_TEXT or first.tokens > _SHOWN_TEXT else ""
            lines.append(("text", printable(self.text[:_SHOWN_TEXT]) + more))
        return lines

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {"schema": "oomguard.trace/1", **asdict(self)}


@edge
def inspect(folder: Path, *, encoding: str | None = None) -> Inspection:
    """Read all shards of a folder once, in stretches, and say what they are.

    `encoding` names the tokenizer where no manifest does; without either, ids are not judged and nothing is decoded.
    Raises: NothingFound if there are no shards; BadInput if one is damaged.
    """
    found = open_set(folder, encoding=encoding)
    first = _First(found)
    shards = tuple(_inspect_shard(found, shard, first) for shard in found.shards)
    return Inspection(
        folder=str(folder.absolute()),
        format=found.output.name,
        encoding=found.spec.name if found.spec else None,
        eot=found.eot,
        documents=_documents(found, shards),
        shards=shards,
        changed=_changed(found),
        has_manifest=found.progress is not None,
        first_document=first.text(),
        first_ids=tuple(first.ids[:16]),
    )


def _inspect_shard(found: StoredSet, shard: StoredShard, first: _First) -> InspectedShard:
    import numpy as np

    tokens = documents = out_of_range = eots = 0
    highest = -1
    for values, ends in shard.pieces():
        first.take(values, ends)
        tokens += len(values)
        documents += len(ends)
        if len(values):
            highest = max(highest, int(values.max()))
        if found.spec is not None:
            wrong = (values < 0) | (values >= found.spec.vocabulary_size)
            out_of_range += int(np.count_nonzero(wrong))
            eots += int(np.count_nonzero(values == found.spec.eot))
    by_token = found.spec is not None and found.eot in ("before", "after")
    return InspectedShard(
        path=shard.path.relative_to(found.folder).as_posix(),
        split=shard.split,
        dtype=np.dtype(shard.dtype).name,
        tokens=tokens,
        documents=documents if shard.has_ends else eots if by_token else None,
        highest_id=highest if tokens else None,
        out_of_range=out_of_range if found.spec is not None else None,
    )


def _documents(found: StoredSet, shards: tuple[InspectedShard, ...]) -> int | None:
    """How many documents there are: the manifest counts one whose end is for validation once, the shards twice."""
    if any(shard.documents is None for shard in shards):
        return None
    ended = sum(shard.documents or 0 for shard in shards)
    told = (found.progress.result or {}).get("documents") if found.progress else None
    has_both = {shard.split for shard in shards} >= {"train", "val"}
    return told if has_both and isinstance(told, int) and 0 < told < ended else ended


def _changed(found: StoredSet) -> tuple[str, ...]:
    """The files that are not what the manifest says."""
    if found.progress is None:
        return ()
    result = found.progress.result or {}
    beside = [file for shard in found.progress.shards for file in shard.get("index", ())]
    told: list[dict[str, Any]] = [*found.progress.shards, *beside, *result.get("files", ())]
    return tuple(
        item["path"]
        for item in told
        if not (found.folder / item["path"]).is_file() or sha256_of(found.folder / item["path"]) != item["sha256"]
    )


@dataclass(slots=True)
class _First:
    """Collects the first document that is not empty, without its end-of-text, up to some thousands of tokens."""

    found: StoredSet
    is_whole: bool = False
    ids: list[int] = field(default_factory=list)

    def take(self, values: Any, ends: Any) -> None:
        """Take what belongs to it of the next stretch."""
        if self.is_whole:
            return
        own = values[:_SHOWN_TOKENS].tolist()
        eot = self.found.spec.eot if self.found.spec is not None else None
        stops = [int(end) for end in ends if end <= len(own)]
        if eot is not None and not self.found.has_ends:
            stops = [number for number, token in enumerate(own) if token == eot]
        start = 0
        for stop in [*stops, len(own)]:
            self.ids += [token for token in own[start:stop] if token != eot]
            start = stop
            if self.ids and stop in stops:
                self.is_whole = True
                return
        self.is_whole = len(self.ids) >= _SHOWN_TOKENS

    def text(self) -> str | None:
        """The document; None where the tokenizer is not known."""
        spec: EncodingSpec | None = self.found.spec
        if spec is None:
            return None
        from oomguard.preparation.encoding.encodings import load_tiktoken

        encoding = load_tiktoken(spec, find_rank_file(spec))
        known = [token for token in self.ids if 0 <= token < spec.vocabulary_size]
        return encoding.decode_bytes(known).decode(errors="replace")
