"""What `prepare` made, and what it plans to make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, overload

from oomguard.records import dataclass
from oomguard.text import Command, Rows, printable
from oomguard.units import format_size

_SHOWN = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One finished file."""

    path: str
    split: str
    tokens: int
    sha256: str
    documents: int | None = None  # that end in it, where the format knows
    bytes: int | None = None  # of the file, where it is more than a header and the tokens
    index: tuple[dict[str, Any], ...] = ()  # files beside it: path, bytes, sha256

    @staticmethod
    def of(shard: dict[str, Any]) -> Shard:
        """From a line of the manifest."""
        return Shard(**(shard | {"index": tuple(shard.get("index", ()))}))

    def to_json(self) -> dict[str, Any]:
        """As the manifest has it: without what the format does not know."""
        return {key: value for key, value in asdict(self).items() if value not in (None, ())}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardSet:
    """A finished run. Sizes in bytes; `peak_unreclaimable` and `budget` as in docs/numbers.md."""

    tokens: int
    documents: int
    input_bytes: int
    shards: tuple[Shard, ...]
    encoding: str
    format: str
    token_bytes: int
    wall_seconds: float
    bytes_per_second: float
    budget: int
    peak_unreclaimable: int
    peak_rss: int
    enforced_by: str
    verified_documents: int
    verified_bytes: int
    repaired_bytes: int
    left_out: int
    restarted_workers: int
    folder: str
    notes: tuple[str, ...]
    budget_notes: tuple[str, ...] = ()  # shown when the run begins, not again at its end
    already_done: bool = False
    bad_files: tuple[dict[str, Any], ...] = ()  # not read to their end: path, what is wrong, documents kept of it
    files: tuple[dict[str, Any], ...] = ()  # that speak of all shards of a split: path, bytes, sha256
    next_lines: tuple[str, ...] = ()  # the next command
    engine: str = "core"  # what encoded
    reference: str = "tiktoken"  # the library that a part was encoded with again
    verify: str = ""  # what was asked with --verify; empty: made by a version that did not note it
    shuffle: int | None = None  # the seed of the order of documents; None: as the input has them

    def render(self) -> Rows:
        """Build the screen for people."""
        return Rows(self._lines(), below=("", *self._next()))

    def _lines(self) -> list[tuple[str, str | Command]]:
        each = f"{self.input_bytes / self.tokens if self.tokens else 0:.2f} bytes of text each"
        rate = f", {format_size(self.bytes_per_second)}/s" if self.bytes_per_second else ""
        lines: list[tuple[str, str | Command]] = [
            ("already done" if self.already_done else "done", printable(self.folder)),
            (
                "read",
                f"{format_size(self.input_bytes)} of text, {self.documents:,} {_plural('document', self.documents)}",
            ),
            ("wrote", f"{self.tokens:,} tokens ({self.encoding}, {each}, uint{8 * self.token_bytes})"),
            *(("", f"{shard.path}  {shard.tokens:,} tokens") for shard in self.shards[:_SHOWN]),
        ]
        if len(self.shards) > _SHOWN:
            lines.append(("", f"and {len(self.shards) - _SHOWN} more"))
        if self.shuffle is not None:
            lines.append(("order", f"documents shuffled with seed {self.shuffle}"))
        lines += [
            ("took", f"{show_duration(self.wall_seconds)}{rate}{' (the run that wrote them)' * self.already_done}"),
            (
                "memory",
                f"peak {format_size(self.peak_unreclaimable)}, budget {format_size(self.budget)} ({self.enforced_by})",
            ),
            ("checked", self._checked()),
        ]
        if size := self.repaired_bytes:
            lines.append(("repaired", f"{size:,} {_plural('byte', size)} not valid UTF-8"))
        if count := self.left_out:
            what = "line or row" if count == 1 else "lines or rows"
            lines.append(("left out", f"{count:,} {what} that could not be read"))
        lines += [("skipped", _bad_file(file)) for file in self.bad_files]
        return lines + [("note", note) for note in self.notes]

    def _checked(self) -> str:
        checked, read = format_size(self.verified_bytes), format_size(self.input_bytes)
        if self.verified_bytes:
            of = f" of {read}" if self.verify == "full" and checked != read else ""
            return f"{checked}{of} encoded again by {self.reference}: the same tokens"
        if self.engine == self.reference and self.verify != "off":
            return f"nothing: {self.reference} itself did the work"
        if self.verify in ("sample", "full") and self.input_bytes:
            what = "this text" if self.verify == "full" else "what was sampled"
            return f"nothing: {what} cannot be cut into parts that {self.reference} can encode"
        return "nothing (--verify off)" if self.verify == "off" else "nothing"

    def _next(self) -> list[str]:
        """The next command: how to train on it."""
        if not self.tokens:
            return ["nothing was written: the input holds no document"]
        return list(self.next_lines)

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        facts = asdict(self) | {"shards": [shard.to_json() for shard in self.shards]}
        return {"schema": "oomguard.shard_set/1", **facts}


@dataclass(frozen=True, slots=True)
class InputFacts(Sequence[dict[str, Any]]):
    """What a plan says of each input, made when it is asked for: there may be a million."""

    sources: Sequence[Any]

    def __len__(self) -> int:
        """How many there are."""
        return len(self.sources)

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        """Give what is said of one, or of some."""
        return list(map(_facts_of, self.sources[at])) if isinstance(at, slice) else _facts_of(self.sources[at])


def _facts_of(source: Any) -> dict[str, Any]:
    return {"path": source.path, "size": source.size, "kind": source.kind, "compression": source.compression}


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparePlan:
    """What `prepare` would do (`--dry-run`). Sizes in bytes."""

    inputs: Sequence[dict[str, Any]]
    folder: str
    format: str
    encoding: str
    token_bytes: int
    budget: int
    limited_by: str
    workers: int
    piece_bytes: int
    longest_word: int
    largest_document: int
    sum: int  # of memory: what the run takes
    estimated_output_bytes: int | None
    free_disk_bytes: int
    done_bytes: int
    least_output_bytes: int | None = None  # None: not known, or the disk is large enough for any text
    is_possible: bool = True  # as far as the disk is concerned
    notes: tuple[str, ...] = ()
    shuffle: int | None = None  # the seed
    shuffle_disk_bytes: int | None = None  # beside the shards, until the end; None: none, or not known

    def render(self) -> Rows:
        """Build the screen for people."""
        rows: list[tuple[str, str | Command]] = []
        for item in self.inputs[:_SHOWN]:
            size = "size unknown" if item["size"] is None else format_size(item["size"])
            packed = f", {item['compression']}" if item["compression"] else ""
            rows.append(("input", f"{printable(item['path'])}  {size} ({item['kind']}{packed})"))
        if len(self.inputs) > _SHOWN:
            rows.append(("", f"and {len(self.inputs) - _SHOWN} more"))
        output = (
            "size unknown"
            if self.estimated_output_bytes is None
            else f"about {format_size(self.estimated_output_bytes)}"
        )
        rows += [
            (
                "output",
                f"{printable(self.folder)}  {output} ({self.format}, {self.encoding}, uint{8 * self.token_bytes})",
            ),
            ("disk", self._disk()),
            ("budget", f"{format_size(self.budget)} ({self.limited_by})"),
            ("memory", f"{format_size(self.sum)}, whatever the size of the input"),
            ("workers", f"{self.workers}, chunks of {format_size(self.piece_bytes)}"),
            (
                "fits",
                f"documents up to {format_size(self.largest_document)}, words up to {format_size(self.longest_word)}",
            ),
            (
                "done",
                f"{format_size(self.done_bytes)} of the input, by an earlier run" if self.done_bytes else "nothing yet",
            ),
            *(("note", note) for note in self.notes),
        ]
        return Rows(rows)

    def _disk(self) -> str:
        free = f"{format_size(self.free_disk_bytes)} free"
        if self.is_possible or self.least_output_bytes is None:
            return free
        return f"{free}: NOT ENOUGH, the shards need more than {format_size(self.least_output_bytes)}"

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs."""
        return {
            "schema": "oomguard.prepare_plan/1",
            **asdict(replace(self, inputs=())),
            "inputs": list(self.inputs),
        }


def _bad_file(file: dict[str, Any]) -> str:
    name, what = printable(file["path"]), file["what"]
    kept = f"{file['documents']:,} {_plural('document', file['documents'])} before that kept"
    return f"{what if what.startswith(name) else f'{name}: {what}'} ({kept})"


def _plural(word: str, count: int) -> str:
    return word if count == 1 else f"{word}s"


def show_duration(seconds: float) -> str:
    """Show seconds as a person says them: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
