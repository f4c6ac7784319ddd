"""Shards of a job written one by one, on any number of machines at once; parts go as soon as no shard needs them.

Beside the parts stand: `layout.json`, the shards that are to be; a note before each file gets its name, so that what
a killed run left can be told from what is somebody else's; a receipt for each shard that is on disk. Two machines that
write the same shard write the same bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import secrets
import shutil
import signal
from bisect import bisect_left
from dataclasses import asdict, astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, Stopped
from oomguard.kernel import safe_files
from oomguard.preparation.cluster.job_file import replace_text
from oomguard.preparation.cluster.parts import Place, open_part
from oomguard.preparation.cluster.shard_plan import At, PlannedShard, plan_shards, stretches_of
from oomguard.preparation.writing.manifest import Progress
from oomguard.preparation.writing.shard_check import require_own_leftovers
from oomguard.preparation.writing.shard_writer import ShardPlan, SplitWriter
from oomguard.preparation.writing.token_sink import TokenSink, Totals
from oomguard.preparation.writing.val_split import ValSplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.token_sink import EncodedPiece, Split

_TABLE = "layout.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardTable:
    """All shards of a job, those of a split in a row and in order, and what they hold together."""

    shards: list[PlannedShard]
    totals: Totals
    _by_split: dict[Split, list[PlannedShard]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Divide them by split, once: there may be ten thousand, asked for by a hundred thousand units."""
        by_split: dict[Split, list[PlannedShard]] = {}
        for shard in self.shards:
            by_split.setdefault(shard.split, []).append(shard)
        object.__setattr__(self, "_by_split", by_split)

    def needed_by(self, unit: int) -> Iterator[PlannedShard]:
        """The shards that take something of a unit."""
        for shards in self._by_split.values():
            at = bisect_left(shards, unit, key=lambda each: each.stop.unit)
            while at < len(shards) and shards[at].start.unit <= unit:
                yield shards[at]
                at += 1


def first_indexes(job: Job) -> dict[Split, int]:
    """The number of the first shard of each split that there is."""
    output = job.resolved.output
    splits: tuple[Split, ...] = ("train", "val") if job.by_document else ("train",)
    return {split: output.first_index(split, by_document=job.by_document) for split in splits}


def read_parts(job_file: JobFile, token_bytes: int) -> Iterator[tuple[int, list[tuple[Any, ...]], list[Totals]]]:
    """Of each part: its unit, its segments as `stretches_of` wants them, and their counts. Raises: BadInput."""
    for number in range(len(job_file.units)):
        part = open_part(job_file.part_file(number), job=job_file.sha256, unit=number, token_bytes=token_bytes)
        segments = [
            (each.split, each.tokens, each.count.documents, part.ends(at)) for at, each in enumerate(part.segments)
        ]
        yield number, segments, [each.count for each in part.segments]


def plan_table(job: Job, parts: Iterator[tuple[int, list[tuple[Any, ...]], list[Totals]]]) -> ShardTable:
    """Add up the counts of all parts, in order, and divide them into shards."""
    totals = Totals()

    def stretches() -> Iterator[Any]:
        nonlocal totals
        for unit, segments, counts in parts:
            yield from stretches_of(unit, segments, totals.documents)
            for count in counts:
                totals = totals.plus(count)

    resolved = job.resolved
    shards = plan_shards(
        stretches(),
        full=resolved.layout.shard_tokens,
        with_documents=resolved.output.writes_documents(resolved.layout),
        val=ValSplit(resolved.val_fraction) if job.by_document and resolved.val_fraction is not None else None,
        first_index=first_indexes(job),
        fold_last=resolved.layout.fold_last,
    )
    return ShardTable(shards=shards, totals=totals)


def shard_table(job_file: JobFile, job: Job) -> ShardTable:
    """The table of a job all of whose units are done; the first one who needs it writes it. Raises: BadInput."""
    file = job_file.parts / _TABLE
    try:
        table = _read_table(file, job_file.sha256)
    except FileNotFoundError:
        table = plan_table(job, read_parts(job_file, job.resolved.spec.token_bytes))
        body = {"shards": [astuple(shard) for shard in table.shards], "totals": asdict(table.totals)}
        replace_text(file, json.dumps({**body, "sha256": _sum(body, job_file.sha256)}, separators=(",", ":")))
    return table


def _read_table(file: Path, job: str) -> ShardTable:
    wrong = BadInput(
        f"{file} is damaged, or of another job", do=f"rm {file} {file.parent}/*.laid, then oomguard work again"
    )
    try:
        body = json.loads(file.read_text())
        told = body.pop("sha256")
        table = ShardTable(
            shards=[
                PlannedShard(split, index, tokens, At(*start), At(*stop))
                for split, index, tokens, start, stop in body["shards"]
            ],
            totals=Totals(**body["totals"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise wrong from error
    if told != _sum(body, job):
        raise wrong
    return table


def _sum(body: dict[str, Any], job: str) -> str:
    return hashlib.sha256((job + json.dumps(body)).encode()).hexdigest()


class _Nowhere:
    """Takes the tokens of the other split, which another shard holds; and what a manifest would be told."""

    def append(self, **line: Any) -> None:
        """Leave it: a shard has a receipt."""

    def write(self, tokens: memoryview, ends: Sequence[int] = (), number: int = 0) -> None:
        """Leave them."""

    def sync(self) -> dict[str, Any]:
        """Nothing to sync."""
        return {}

    def resume(self, position: dict[str, Any]) -> None:
        """Nothing to continue."""

    def restore(self, position: dict[str, Any], stored: Sequence[Any]) -> None:
        """Nothing to restore."""

    def finish(self) -> None:
        """Nothing to finish."""

    def forget_parts(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to close."""


@dataclass(slots=True, kw_only=True)
class ShardWork:
    """Writes shards of a table, in a folder for temporary files of its own."""

    job_file: JobFile
    job: Job
    table: ShardTable
    asked: Callable[[], str | None]  # names the signal that asked to stop
    keep_parts: bool = False
    after_each: Callable[[PlannedShard], None] = lambda _: None
    _done: set[tuple[str, int]] = field(default_factory=set)

    def write(self, shards: list[PlannedShard]) -> None:
        """Write those that are not done; after each one the parts go that no other shard needs.

        Raises: Stopped on a signal; OomguardError if a part is damaged, a name is taken, or the disk refuses.
        """
        state = self.job_file.parts / f"laying-{secrets.token_hex(8)}"
        safe_files.make_folder(state)
        try:
            for shard in shards:
                if not self.is_done(shard):
                    self._write_one(shard, state)
                    self.after_each(shard)
                if not self.keep_parts:
                    self._remove_parts(shard)
        finally:
            shutil.rmtree(state, ignore_errors=True)

    def is_done(self, shard: PlannedShard) -> bool:
        """Whether it is on disk, whoever wrote it."""
        key = (shard.split, shard.index)
        if key not in self._done and self._receipt(shard).exists():
            self._done.add(key)
        return key in self._done

    def receipts(self) -> list[dict[str, Any]]:
        """What the manifest says of the shards: `shard` and `file` each, those of a split in order.

        Raises: BadInput if one is damaged.
        """
        told = []
        for shard in sorted(self.table.shards, key=lambda each: (each.split, each.index)):
            file = self._receipt(shard)
            try:
                told += [{"shard": one["shard"], "file": one["file"]} for one in json.loads(file.read_text())]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise BadInput(f"{file} cannot be read", do=f"rm {file}, then oomguard finish again") from error
        return told

    def names(self) -> set[str]:
        """All names that were given, or are about to be."""
        return {str(note["name"]) for file in self.job_file.parts.glob("name-*.json") for note in [_note(file)]}

    def _receipt(self, shard: PlannedShard) -> Path:
        return self.job_file.parts / f"laid-{shard.split}-{shard.index:06d}.json"

    def _notes(self, shard: PlannedShard) -> list[Path]:
        return sorted(self.job_file.parts.glob(f"name-{shard.split}-{shard.index:06d}-*.json"))

    def _write_one(self, shard: PlannedShard, state: Path) -> None:
        resolved = self.job.resolved
        told = {str(note["name"]): [str(note["sha256"])] for note in map(_note, self._notes(shard))}
        for left in require_own_leftovers(self.job.options.out, Progress(told=told)):
            safe_files.unlink(left)  # of a run that was killed before its receipt
        named: list[str] = []
        made: list[dict[str, Any]] = []

        def on_naming(name: str, sha256: str) -> None:
            note = f"name-{shard.split}-{shard.index:06d}-{len(named)}.json"
            replace_text(self.job_file.parts / note, json.dumps({"name": name, "sha256": sha256}))
            named.append(name)

        plan = ShardPlan(
            folder=self.job.options.out, state=state, format=resolved.output, layout=resolved.layout,
            first_is_val=resolved.val_fraction is None,
        )  # fmt: skip
        writer = SplitWriter(
            plan,
            shard.split,
            first_index=shard.index,
            on_naming=on_naming,
            on_shard=lambda about, file: made.append({"shard": about, "file": file}),
        )
        sink = TokenSink(
            plan,
            _Nowhere(),
            val_fraction=resolved.val_fraction if self.job.by_document else None,
            checkpoint_seconds=math.inf,
            encoded_bytes=resolved.spec.token_bytes,
            new_writer=lambda split: writer if split == shard.split else _Nowhere(),
        )
        sink.totals = Totals(documents=shard.start.document)
        try:
            for piece in pieces_between(self.job_file, resolved.spec.token_bytes, shard.start, shard.stop):
                self._heed()
                sink.take(piece)
            writer.finish()
            writer.forget_parts()
        finally:
            sink.close()
        replace_text(self._receipt(shard), json.dumps(made))

    def _heed(self) -> None:
        if (name := self.asked()) is not None:
            stopped = Stopped(f"by {name}; the shards that were finished are kept", do="run it again")
            stopped.exit_status = 128 + signal.Signals[name]
            raise stopped

    def _remove_parts(self, shard: PlannedShard) -> None:
        """Those that this shard took from, and that no shard needs any more."""
        for unit in range(shard.start.unit, shard.stop.unit + 1):
            if self.job_file.part_file(unit).exists() and all(map(self.is_done, self.table.needed_by(unit))):
                remove_part(self.job_file, unit, self.job.resolved.spec.token_bytes)


def _note(file: Path) -> dict[str, Any]:
    try:
        note: dict[str, Any] = json.loads(file.read_text())
        return {"name": note["name"], "sha256": note["sha256"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file} cannot be read", do=f"rm {file}, then oomguard finish again") from error


def remove_part(job_file: JobFile, unit: int, token_bytes: int) -> None:
    """Take a part away, and leave what it counted: so the unit is known to be done. Raises: BadInput."""
    path = job_file.part_file(unit)
    part = open_part(path, job=job_file.sha256, unit=unit, token_bytes=token_bytes)
    counts = [asdict(each.count) for each in part.segments]
    replace_text(job_file.laid_file(unit), json.dumps({"job": job_file.sha256, "counts": counts}))
    with contextlib.suppress(FileNotFoundError):  # two machines may do so at once
        path.unlink()


def counts_of(job_file: JobFile, unit: int, token_bytes: int) -> list[Totals] | None:
    """What a unit that is done counted; None: it is not done. Raises: BadInput if that is damaged."""
    path, laid = job_file.part_file(unit), job_file.laid_file(unit)
    if path.exists():
        part = open_part(path, job=job_file.sha256, unit=unit, token_bytes=token_bytes)
        return [each.count for each in part.segments]
    try:
        told = json.loads(laid.read_text())
        if told["job"] != job_file.sha256:
            raise ValueError(told["job"])  # noqa: TRY301 - one answer to all that is wrong
        return [Totals(**count) for count in told["counts"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{laid} is damaged, or of another job", do=f"rm {laid}, then oomguard work again") from error


def pieces_between(job_file: JobFile, token_bytes: int, start: At, stop: At) -> Iterator[EncodedPiece]:
    """All pieces from a place to another. Raises: BadInput if a part is damaged."""
    for number in range(start.unit, min(stop.unit + 1, len(job_file.units))):
        begin = Place(start.segment, start.token, start.end) if number == start.unit else Place()
        end = Place(stop.segment, stop.token, stop.end) if number == stop.unit else None
        part = open_part(job_file.part_file(number), job=job_file.sha256, unit=number, token_bytes=token_bytes)
        yield from part.pieces(number, begin, end)


def remove_all(job_file: JobFile) -> None:
    """The shards are laid out and noted: what was kept for that goes."""
    for pattern in ("*.part", "*.laid", "*.claim", "laid-*.json", "name-*.json", _TABLE):
        for file in job_file.parts.glob(pattern):
            safe_files.unlink(file)
    for folder in job_file.parts.glob("laying-*"):
        shutil.rmtree(folder, ignore_errors=True)
