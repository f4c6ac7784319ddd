"""A job planned: sources found, checked and divided, before any machine begins."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.cluster.job_file import JobFile, new_job
from oomguard.preparation.cluster.job_place import is_in_store, out_of_job
from oomguard.preparation.cluster.units import UNIT_BYTES, cut_units
from oomguard.preparation.reading.source import STDIN
from oomguard.preparation.reading.sources import find_inputs
from oomguard.preparation.resolving import resolve_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.options import PrepareOptions
    from oomguard.preparation.reading.source import Source


def plan_job(options: PrepareOptions, *, unit_bytes: int | None = None, known: Sequence[Source] = ()) -> JobFile:
    """Find the sources and divide them. Changes nothing. Raises: OomguardError as `prepare` does.

    `known`: those of the job that is continued, whose versions are kept where a server has several.
    """
    if options.provenance:
        raise BadInput(
            "--provenance is written by one machine, and units of a job do not carry it",
            do="prepare --provenance without --cluster, --job-only and --job",
        )
    if options.shuffle is not None:
        raise BadInput(
            "--shuffle needs the documents of all units in one place, and a planned job has them in many",
            do="leave --shuffle out, or prepare on one machine: it needs little memory there",
        )
    options = replace(options, out=out_of_job(options.out))
    resolved = resolve_options(options)
    before = tuple(one.path if one.path == STDIN or one.is_remote else os.path.realpath(one.path) for one in known)
    wanted = replace(resolved.wanted, known=before)
    exclude = None if is_in_store(options.out) else options.out
    found = find_inputs(options.inputs, folder=Path(), exclude=exclude, wanted=wanted)
    sources = [
        source if source.path == STDIN or source.is_remote else replace(source, path=str(Path(source.path).absolute()))
        for source in found.sources
    ]
    units = tuple(cut_units(sources, options, resolved, size=unit_bytes or UNIT_BYTES))
    return new_job(options, resolved, tuple(sources), units, notes=found.notes)
