"""Shards of a job written one by one, on any number of machines at once; parts go as soon as no shard needs them.

Each is claimed by the machine that writes it: until it has its receipt, no other may take back what bears its name.
"""

from __future__ import annotations

import json
import signal
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, Stopped
from oomguard.preparation.cluster.job_place import claim_of, laying_folder, remove, remove_laying_folders, replace_text
from oomguard.preparation.cluster.one_shard import write_shard
from oomguard.preparation.cluster.receipts import Receipts
from oomguard.preparation.cluster.shard_table import TABLE, counts_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from oomguard.preparation.cluster.claims import Claim
    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.cluster.shard_table import PlannedShard, ShardTable
    from oomguard.preparation.job import Job

_LOOK_SECONDS = 1.0  # between looks at shards that others have in hand, when nothing else is left


class _Lost(Exception):
    """Another worker took this one for dead, and has its shard."""


@dataclass(slots=True, kw_only=True)
class ShardWork:
    """Writes shards of a table, in a folder for temporary files of its own."""

    job_file: JobFile
    job: Job
    table: ShardTable
    asked: Callable[[], str | None]  # names the signal that asked to stop
    keep_parts: bool = False
    after_each: Callable[[PlannedShard], None] = lambda _: None
    keep: Callable[[], None] = lambda: None  # called now and then
    receipts: Receipts = field(init=False)

    def __post_init__(self) -> None:
        """Look for the receipts where the parts are."""
        self.receipts = Receipts(self.job_file.parts, self.job.options.out, self.table)

    def write(self, shards: list[PlannedShard]) -> None:
        """Write those that are not done, and wait for those that another has; the parts go that no shard needs more.

        Raises: Stopped on a signal; OomguardError if a part is damaged, a name is taken, or the disk refuses.
        """
        left = list(shards)
        with laying_folder(self.job_file.parts, self.job.options.out) as (state, keep):
            while True:
                left = [shard for shard in left if not self._is_settled(shard, state, keep)]
                if not left:
                    break
                keep()
                self.keep()
                self._heed()
                time.sleep(_LOOK_SECONDS)  # another has them; should it end, they are written here

    def is_done(self, shard: PlannedShard) -> bool:
        """Whether it is on disk, whoever wrote it; when all is laid out, the receipts are gone."""
        return self.receipts.is_done(shard) or self.job_file.is_finished

    def _is_settled(self, shard: PlannedShard, state: Path, keep: Callable[[], None]) -> bool:
        """Write it, unless that is done; False: another is about to."""
        if not self.is_done(shard):
            claim = claim_of(self.job_file.parts / f"{shard.split}-{shard.index:06d}.claim")
            if not claim.take():
                return False
            try:
                is_new = not self.is_done(shard)  # else it was since the first look
                if is_new:
                    self._write_one(shard, state, claim, keep)
            except _Lost:
                return False  # or the claim could not be read for a moment: then it is written again
            except BadInput:
                if claim.is_ours():
                    raise
                return False
            finally:
                claim.give_up()
            if is_new:
                self.after_each(shard)
        if not self.keep_parts:
            self._remove_parts(shard)
        return True

    def _write_one(self, shard: PlannedShard, state: Path, claim: Claim, keep: Callable[[], None]) -> None:
        def on_piece() -> None:
            self._heed()
            claim.keep()
            keep()
            self.keep()

        def require() -> None:
            claim.keep()
            if not claim.is_ours():
                raise _Lost

        write_shard(self.job_file, self.job, shard, self.receipts, state, on_piece=on_piece, require=require)

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


def remove_part(job_file: JobFile, unit: int, token_bytes: int) -> None:
    """Take a part away, and leave what it counted: so the unit is known to be done. Raises: BadInput."""
    path = job_file.part_file(unit)
    counts = counts_of(job_file, unit, token_bytes)
    if counts is None:
        return  # all is laid out meanwhile, and this gone as well
    told = {"job": job_file.sha256, "counts": [asdict(count) for count in counts]}
    replace_text(job_file.laid_file(unit), json.dumps(told))
    remove(path)  # two machines may do so at once


def remove_all(job_file: JobFile) -> None:
    """The shards are laid out and noted: what was kept for that goes, but for what a worker still has in hand."""
    remove_laying_folders(job_file.parts)
    for pattern in ("*.part", "*.laid", "laid-*.json", "name-*.json", TABLE):
        for file in job_file.parts.glob(pattern):
            remove(file)
    for file in job_file.parts.glob("*.claim"):
        if claim_of(file).is_stale():
            remove(file)
