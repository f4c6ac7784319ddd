"""What all shards of a job are to be, from what its parts counted; and what each is made of.

Kept in `layout.json` beside the parts: the first machine that needs it writes it, and all have the same.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from dataclasses import asdict, astuple, dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.cluster.job_place import read_json, removal, removal_of_all
from oomguard.preparation.cluster.parts import Place, open_part
from oomguard.preparation.cluster.shard_plan import At, PlannedShard, plan_shards, share_of, stretches_of
from oomguard.preparation.disk_room import free_bytes, require_room
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.token_sink import EncodedPiece, Split

__all__ = [
    "TABLE",
    "AllParts",
    "At",
    "PlannedShard",
    "ShardTable",
    "counts_of",
    "first_indexes",
    "pieces_between",
    "plan_table",
    "read_parts",
    "read_table",
    "require_room_twice",
    "shard_table",
]

TABLE = "layout.json"


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

    def share(self, number: int, of: int) -> list[PlannedShard]:
        """The shards of machine `number` of several."""
        return share_of(self.shards, number, of)

    def behind_last(self, job: Job) -> dict[Split, int]:
        """The number behind the last shard of each split."""
        last = {split: shards[-1].index + 1 for split, shards in self._by_split.items()}
        return first_indexes(job) | last

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
        val_fraction=resolved.val_fraction if job.by_document else None,
        first_index=first_indexes(job),
        fold_last=resolved.layout.fold_last,
    )
    return ShardTable(shards=shards, totals=totals)


def shard_table(job_file: JobFile, job: Job) -> ShardTable:
    """The table of a job all of whose units are done; the first one who needs it writes it. Raises: BadInput."""
    file = job_file.parts / TABLE
    try:
        table = read_table(file, job_file.sha256, job_file.parts)
    except FileNotFoundError:
        try:
            table = plan_table(job, read_parts(job_file, job.resolved.spec.token_bytes))
        except (BadInput, FileNotFoundError) as error:
            return _of_another(job_file, error)
        body = {"shards": [astuple(shard) for shard in table.shards], "totals": asdict(table.totals)}
        told = json.dumps({**body, "sha256": _sum(body, job_file.sha256)}, separators=(",", ":"))
        job_file.note(TABLE, told)
    return table


def _of_another(job_file: JobFile, error: BadInput | FileNotFoundError) -> ShardTable:
    """The table of a machine that wrote it meanwhile, and that removes parts already. Raises: BadInput."""
    try:
        return read_table(job_file.parts / TABLE, job_file.sha256, job_file.parts)
    except FileNotFoundError:
        if isinstance(error, BadInput):
            raise error from None
        raise BadInput(f"{error.filename} is gone", do=f"oomguard work {job_file.shown}") from error


def read_table(file: Any, job: str, parts: Any) -> ShardTable:
    """Read it, a JobPlace as `parts` is. Raises: BadInput if it is damaged, or of another job; FileNotFoundError."""
    wrong = BadInput(
        f"{file} is damaged, or of another job",
        do=f"{removal(file)} && {removal_of_all(parts, '*.laid')}, then oomguard work again",
    )
    try:
        body = read_json(file)
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


def counts_of(job_file: JobFile, unit: int, token_bytes: int) -> list[Totals] | None:
    """What a unit that is done counted; None: it is not done. Raises: BadInput if that is damaged."""
    path, laid = job_file.part_file(unit), job_file.laid_file(unit)
    if path.exists():
        try:
            part = open_part(path, job=job_file.sha256, unit=unit, token_bytes=token_bytes)
            return [each.count for each in part.segments]
        except BadInput as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise  # else another machine has just removed it, and left its counts
    try:
        told = read_json(laid)
        if told["job"] != job_file.sha256:
            raise ValueError(told["job"])  # noqa: TRY301 - one answer to all that is wrong
        return [Totals(**count) for count in told["counts"]]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{laid} is damaged, or of another job", do=f"{removal(laid)}, then oomguard work again"
        ) from error


def pieces_between(job_file: JobFile, token_bytes: int, start: At, stop: At | None = None) -> Iterator[EncodedPiece]:
    """All pieces from a place to another, or the end. Raises: BadInput if a part is damaged."""
    last = len(job_file.units) - 1 if stop is None else stop.unit
    for number in range(start.unit, last + 1):
        begin = Place(start.segment, start.token, start.end) if number == start.unit else Place()
        end = Place(stop.segment, stop.token, stop.end) if stop is not None and number == stop.unit else None
        try:
            part = open_part(job_file.part_file(number), job=job_file.sha256, unit=number, token_bytes=token_bytes)
        except BadInput as error:
            raise _of_removed(job_file, range(number, last + 1)) or error from error
        yield from part.pieces(number, begin, end)


def _of_removed(job_file: JobFile, units: range) -> BadInput | None:
    """The error where parts have been removed since all shards were written that need them, and one is to be again."""
    gone = [unit for unit in units if not job_file.part_file(unit).exists() and job_file.laid_file(unit).exists()]
    if not gone:
        return None
    take_away = " && ".join(removal(job_file.laid_file(unit)) for unit in gone)
    return BadInput(
        f"{len(gone):,} unit{'s' * (len(gone) > 1)} removed after the shards were written, but needed again for one of "
        "them",
        do=f"{take_away} && oomguard work {job_file.shown}, then oomguard finish again",
    )


def require_room_twice(job_file: JobFile, job: Job) -> None:
    """The tokens are there twice until a split of one file is whole. Raises: BadInput if the disk cannot hold that."""
    width, out = job.resolved.layout.token_bytes, job.options.out
    counts = (counts_of(job_file, unit, job.resolved.spec.token_bytes) for unit in range(len(job_file.units)))
    tokens = sum(count.tokens for each in counts if each is not None for count in each)
    begun = sum(file.stat().st_size for file in (out / ".oomguard").glob("*.partial"))
    require_room(out, max(0, tokens * width - begun), free_bytes(out))


@dataclass(frozen=True, slots=True)
class AllParts:
    """The pieces of all parts, for the writer of `prepare`."""

    job_file: JobFile
    token_bytes: int

    def pieces(self, position: dict[str, Any]) -> Iterator[EncodedPiece]:
        """All pieces from a position on."""
        unit, segment, token, end = (position.get(name, 0) for name in ("unit", "segment", "token", "end"))
        return pieces_between(self.job_file, self.token_bytes, At(unit, segment, token, end, 0))
