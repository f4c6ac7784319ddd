"""What a run is known by: all that the bytes of its shards depend on, and whether an earlier one is the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.errors import Changed
from oomguard.preparation.encoding.load_engine import tiktoken_unicode
from oomguard.preparation.reading.source import STDIN
from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest
from oomguard.preparation.writing.shuffle_folder import spool_folder
from oomguard.preparation.writing.token_sink import Totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.job import Job
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.manifest import Progress


def identity(job: Job) -> dict[str, Any]:
    """All that the bytes of the shards depend on."""
    resolved, options = job.resolved, job.options
    return {
        "input": [
            {
                "path": full_path(s),
                "bytes": s.size,
                "kind": s.kind,
                "packed": s.compression,
                "changed": s.mtime_ns,
                "inode": s.inode,
                "ctime": s.ctime_ns,
                **({"field": s.text_field} if s.text_field != resolved.text_field else {}),
                **({"encoding": s.encoding} if s.encoding else {}),
                **({"pin": s.pin} if s.is_remote else {}),
            }
            for s in job.sources
        ],
        "format": options.format,
        "encoding": resolved.spec.identity(),
        "unicode": tiktoken_unicode(),
        "shard_tokens": resolved.shard_tokens,
        "val_fraction": resolved.val_fraction,
        "name": resolved.layout.name,
        "eot": resolved.eot,
        "separator": options.separator,
        "text_field": resolved.text_field,
        "newlines": options.newlines,
        **({"text_ends": job.ends_are_val} if job.by_document and not resolved.separator else {}),
        **({"block_size": resolved.layout.block_size} if resolved.output.takes_blocks else {}),
        **({"last_shard": options.last_shard} if resolved.layout.fold_last else {}),
        **({"provenance": True} if options.provenance else {}),
        **({"shuffle": options.shuffle} if options.shuffle is not None else {}),
    }


def full_path(source: Source) -> str:
    """A source as the manifest names it."""
    return source.path if source.path == "-" or source.is_remote else str(Path(source.path).resolve())


def require_comparable(sources: Sequence[Source]) -> None:
    """A finished run is shown again only if it is known to be the same one: standard input is gone.

    Raises: Changed.
    """
    if any(source.path == STDIN for source in sources):
        raise Changed(
            "the shards here were made from an earlier standard input; whether this one is the same cannot be known",
            do="--restart to make them again, or another --out FOLDER",
        )


def require_result(progress: Progress) -> dict[str, Any]:
    """Give the result at the end of a finished run's manifest. Raises: Changed if it has none."""
    if progress.result is None:
        raise Changed(
            "the manifest of the finished shards has no result", do="make them again, in another --out FOLDER"
        )
    return progress.result


def bytes_done_before(job: Job) -> int:
    """Bytes of input that an earlier run of the same job has done, as its manifest says."""
    states = [job.options.out / STATE_FOLDER]
    if job.options.shuffle is not None:
        states.append(spool_folder(job.options.out) / STATE_FOLDER)
    begun = [state for state in states if (state / "manifest.jsonl").exists()]
    if not begun:
        return 0  # what a job is takes half a kilobyte for each file
    header = identity(job)
    return max(Totals.before(Manifest.peek(state, header)).input_bytes for state in begun)
