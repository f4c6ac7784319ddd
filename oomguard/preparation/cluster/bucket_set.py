"""The set of a job's shards in a bucket: its manifest is written when all that it speaks of is there."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.preparation.cluster.bucket_shards import send_shards
from oomguard.preparation.cluster.noting import lock, note_shards
from oomguard.preparation.cluster.one_shard import publish_split_files
from oomguard.preparation.laying_out import set_before, set_of

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.cluster.job_file import JobFile
    from oomguard.preparation.job import Job
    from oomguard.preparation.model import ShardSet
    from oomguard.supervision.own_budget import RunBudget

_MANIFEST = "manifest.jsonl"


def finish_in_bucket(stack: ExitStack, job_file: JobFile, job: Job, budget: RunBudget, *, keep_parts: bool) -> ShardSet:
    """Write the shards that nobody has written, and the manifest of all; `job` has a folder of this machine.

    Raises: as `send_shards`.
    """
    manifest = lock(stack, job)  # here: it is written as any other, and then sent
    here, there = manifest.state / _MANIFEST, job_file.state / _MANIFEST
    if job_file.is_finished:
        here.write_bytes(there.read_bytes())
        return _in_bucket(job_file, set_before(job, manifest))
    began = time.monotonic()
    work = send_shards(stack, job_file, job, keep_parts=keep_parts)
    told = work.receipts.lines()
    note_shards(manifest, job, job_file, work, told)
    shards = [each["shard"] for each in told]
    files = publish_split_files(
        job_file, job, shards, manifest.state, lambda name, sha256: manifest.append(naming=name, sha256=sha256)
    )
    result = set_of(job, budget, work.table.totals, shards, files, time.monotonic() - began)
    result = _in_bucket(job_file, result)
    manifest.append(result=result.to_json())
    there.write_text(here.read_text())
    return result


def _in_bucket(job_file: JobFile, result: ShardSet) -> ShardSet:
    """A result that says where the shards are."""
    address = str(job_file.out)
    line = f'aws s3 cp --recursive {shlex.quote(address)} FOLDER --exclude ".oomguard/*"'
    return replace(result, folder=address, next_lines=(line,))
