"""Where a run begins: from nothing, or from what an earlier run of the same job has done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from oomguard.preparation.identity import identity, require_comparable
from oomguard.preparation.preconditions import require_free_names
from oomguard.preparation.writing.manifest import Manifest
from oomguard.preparation.writing.progress_check import check_inputs, require_sense
from oomguard.preparation.writing.shard_check import require_own_leftovers, require_shards
from oomguard.preparation.writing.shuffle_folder import (
    remove_spool,
    require_full,
    require_no_link,
    require_none_under_way,
    spool_folder,
)

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.job import Job
    from oomguard.preparation.writing.manifest import Progress


def begin(job: Job, stack: ExitStack) -> tuple[Manifest, Progress]:
    """Open the manifest, which `stack` closes, and give what it says is done; all of it, if it has a result.

    Raises: OomguardError if this run cannot continue from there.
    """
    options = job.options
    manifest = Manifest(options.out)
    stack.callback(manifest.close)
    if options.extend:
        from oomguard.preparation.extending import reopen  # here: few ask for it

        reopen(job, manifest)
    progress = manifest.begin(identity(job), restart=options.restart, extend=options.extend, check=partial(_check, job))
    if options.restart or progress.result is not None or options.shuffle is None:
        remove_spool(options.out)
    if progress.result is not None:
        require_comparable(job.sources)
    return manifest, progress


def begin_spool(job: Job, stack: ExitStack, *, has_begun: bool) -> tuple[Manifest, Progress]:
    """The same of the folder where documents wait for their places; `has_begun`: shards were made of them before.

    Raises: OomguardError, as `begin` does.
    """
    folder = spool_folder(job.options.out)
    require_no_link(folder)
    manifest = Manifest(folder)
    stack.callback(manifest.close)
    progress = manifest.begin(identity(job), restart=job.options.restart, check=partial(check_inputs, job))
    require_full(folder, is_full=progress.result is not None, has_begun=has_begun)
    return manifest, progress


def _check(job: Job, progress: Progress) -> None:
    """Whether the run can continue from there; nothing on disk is changed before."""
    options = job.options
    require_free_names(
        options.out, job.resolved.output, job.resolved.layout, ours=progress.names, provenance=options.provenance
    )
    if options.restart:
        require_own_leftovers(options.out, progress)
        return
    if options.shuffle is None:
        require_none_under_way(options.out)
    require_sense(job, progress)
    check_inputs(job, progress)
    require_shards(
        options.out,
        progress,
        output=job.resolved.output,
        layout=job.resolved.layout,
        every_byte=options.verify == "full",
    )
