"""Small files beside the parts: a note before each file of a shard gets its name, a receipt for each shard on disk.

By the notes, what a killed run left can be told from what is somebody else's.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel import safe_files
from oomguard.preparation.cluster.job_place import read_json, removal, replace_text
from oomguard.preparation.writing.manifest import Progress
from oomguard.preparation.writing.shard_check import require_own_leftovers
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.cluster.job_place import JobPlace
    from oomguard.preparation.cluster.shard_table import PlannedShard, ShardTable


@dataclass(slots=True)
class Receipts:
    """Of the shards of a table, whoever writes them."""

    folder: JobPlace
    out: Path
    table: ShardTable
    _done: set[tuple[str, int]] = field(default_factory=set)

    def is_done(self, shard: PlannedShard) -> bool:
        """Whether it is on disk, whoever wrote it."""
        key = (shard.split, shard.index)
        if key not in self._done and self._receipt(shard).exists():
            self._done.add(key)
        return key in self._done

    def lines(self) -> list[dict[str, Any]]:
        """What the manifest says of the shards: `shard` and `file` each, those of a split in order.

        Raises: BadInput if one is damaged.
        """
        told = []
        for shard in sorted(self.table.shards, key=lambda each: (each.split, each.index)):
            file = self._receipt(shard)
            try:
                told += [{"shard": one["shard"], "file": one["file"]} for one in read_json(file)]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise BadInput(
                    f"{printable(str(file))} cannot be read", do=f"{removal(file)}, then oomguard finish again"
                ) from error
        return told

    def names(self) -> set[str]:
        """All names that were given, or are about to be."""
        return {str(note["name"]) for file in self.folder.glob("name-*.json") for note in [_note(file)]}

    def take_back(self, shard: PlannedShard) -> None:
        """Remove the files that a run left which was killed before its receipt. Raises: BadInput if one is not its."""
        told = {str(note["name"]): [str(note["sha256"])] for note in map(_note, self._notes(shard))}
        for left in require_own_leftovers(self.out, Progress(told=told)):
            safe_files.unlink(left)

    def note(self, shard: PlannedShard, number: int, name: str, sha256: str) -> None:
        """Say that file `number` of a shard is about to get its name."""
        file = self.folder / f"name-{shard.split}-{shard.index:06d}-{number}.json"
        replace_text(file, json.dumps({"name": name, "sha256": sha256}))

    def give(self, shard: PlannedShard, made: list[dict[str, Any]]) -> None:
        """Say that it is on disk; `made`: what the manifest is told of it."""
        replace_text(self._receipt(shard), json.dumps(made))

    def _receipt(self, shard: PlannedShard) -> JobPlace:
        return self.folder / f"laid-{shard.split}-{shard.index:06d}.json"

    def _notes(self, shard: PlannedShard) -> list[JobPlace]:
        # Asked for by number: to list a folder of a hundred thousand parts for each shard would take hours.
        numbered = (self.folder / f"name-{shard.split}-{shard.index:06d}-{number}.json" for number in itertools.count())
        return list(itertools.takewhile(lambda file: file.exists(), numbered))


def _note(file: JobPlace) -> dict[str, Any]:
    try:
        note: dict[str, Any] = read_json(file)
        return {"name": note["name"], "sha256": note["sha256"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{printable(str(file))} cannot be read", do=f"{removal(file)}, then oomguard finish again"
        ) from error
