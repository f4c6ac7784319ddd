"""Shards of a job written one by one, on any number of machines at once; parts go as soon as no shard needs them.

Two machines that write the same shard write the same bytes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import secrets
import shutil
import signal
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.errors import Stopped
from oomguard.kernel import safe_files
from oomguard.preparation.cluster.job_file import replace_text
from oomguard.preparation.cluster.receipts import Receipts
from oomguard.preparation.cluster.shard_table import TABLE, counts_of, pieces_between
from oomguard.preparation.writing.shard_writer import ShardPlan, SplitWriter
from oomguard.preparation.writing.token_sink import TokenSink, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.shard_table import PlannedShard, ShardTable
    from oomguard.preparation.job import Job


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
    receipts: Receipts = field(init=False)

    def __post_init__(self) -> None:
        """Look for the receipts where the parts are."""
        self.receipts = Receipts(self.job_file.parts, self.job.options.out, self.table)

    def write(self, shards: list[PlannedShard]) -> None:
        """Write those that are not done; after each one the parts go that no other shard needs.

        Raises: Stopped on a signal; OomguardError if a part is damaged, a name is taken, or the disk refuses.
        """
        state = self.job_file.parts / f"laying-{secrets.token_hex(8)}"
        safe_files.make_folder(state)
        try:
            for shard in shards:
                if not self.receipts.is_done(shard):
                    self._write_one(shard, state)
                    self.after_each(shard)
                if not self.keep_parts:
                    self._remove_parts(shard)
        finally:
            shutil.rmtree(state, ignore_errors=True)

    def _write_one(self, shard: PlannedShard, state: Path) -> None:
        resolved = self.job.resolved
        self.receipts.take_back(shard)
        named = itertools.count()
        made: list[dict[str, Any]] = []
        plan = ShardPlan(
            folder=self.job.options.out, state=state, format=resolved.output, layout=resolved.layout,
            first_is_val=resolved.val_fraction is None,
        )  # fmt: skip
        writer = SplitWriter(
            plan,
            shard.split,
            first_index=shard.index,
            on_naming=lambda name, sha256: self.receipts.note(shard, next(named), name, sha256),
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
        self.receipts.give(shard, made)

    def _heed(self) -> None:
        if (name := self.asked()) is not None:
            stopped = Stopped(f"by {name}; the shards that were finished are kept", do="run it again")
            stopped.exit_status = 128 + signal.Signals[name]
            raise stopped

    def _remove_parts(self, shard: PlannedShard) -> None:
        """Those that this shard took from, and that no shard needs any more."""
        for unit in range(shard.start.unit, shard.stop.unit + 1):
            if self.job_file.part_file(unit).exists() and all(map(self.receipts.is_done, self.table.needed_by(unit))):
                remove_part(self.job_file, unit, self.job.resolved.spec.token_bytes)


def remove_part(job_file: JobFile, unit: int, token_bytes: int) -> None:
    """Take a part away, and leave what it counted: so the unit is known to be done. Raises: BadInput."""
    path = job_file.part_file(unit)
    counts = [asdict(count) for count in counts_of(job_file, unit, token_bytes) or ()]
    replace_text(job_file.laid_file(unit), json.dumps({"job": job_file.sha256, "counts": counts}))
    with contextlib.suppress(FileNotFoundError):  # two machines may do so at once
        path.unlink()


def remove_all(job_file: JobFile) -> None:
    """The shards are laid out and noted: what was kept for that goes."""
    for pattern in ("*.part", "*.laid", "*.claim", "laid-*.json", "name-*.json", TABLE):
        for file in job_file.parts.glob(pattern):
            safe_files.unlink(file)
    for folder in job_file.parts.glob("laying-*"):
        shutil.rmtree(folder, ignore_errors=True)
