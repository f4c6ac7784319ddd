"""What to do about a kill; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.kernel import advise, with_script
from oomguard.diagnosis.advice.killers import (
    advise_counters,
    advise_nothing_found,
    advise_notice,
    advise_other,
    advise_unit,
)
from oomguard.diagnosis.causes.model import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.diagnosis.advice.kernel import SuspectScript
    from oomguard.diagnosis.model import ExplainedEvent
    from oomguard.formats.cgroup import OomCounters
    from oomguard.formats.kernel_log import Notice, OomEvent, OtherKill

_MOST = 4


def choose_advice(
    *,
    main: ExplainedEvent | None,
    other: OtherKill | None,
    unit: str | None,
    counters: OomCounters | None,
    notice: Notice | None,
    unfiltered: str | None,
    pasted: bool,
    script: SuspectScript | None,
    also_told: Sequence[OtherKill] = (),
) -> list[Advice]:
    """What to do, the most useful first, by the best that is known.

    `unfiltered` is the command that shows all kills, where a filter was given.
    """
    if main is not None and other is None:
        found = advise(main.event, main.cause, script=script)
        special = [step for told in also_told for step in advise_other(told)[1:2]]
        library = advise_libraries(main.event, script)
        return [*found[: _MOST - len(special) - len(library)], *special[:1], *library[:1]]
    return [
        with_script(step, script) for step in _without_report(other, unit, counters, notice, unfiltered, pasted=pasted)
    ]


def _without_report(
    other: OtherKill | None,
    unit: str | None,
    counters: OomCounters | None,
    notice: Notice | None,
    unfiltered: str | None,
    *,
    pasted: bool,
) -> list[Advice]:
    if other is not None:
        return advise_other(other)
    if unit is not None:
        return advise_unit(unit)
    if counters is not None:
        return advise_counters(counters)
    if notice is not None:
        return advise_notice(notice)
    return advise_nothing_found(unfiltered=unfiltered, pasted=pasted)


# Libraries that are known to fill memory, recognized by the names of their processes or by a script's imports.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Library:
    processes: re.Pattern[str]  # names of its processes: 15 bytes
    code: re.Pattern[str]  # a script that uses it that way
    advice: Advice


_NOTHING = re.compile(r"(?!)")
_LIBRARIES = (
    _Library(
        processes=re.compile(r"pt_data_worker"),
        code=re.compile(r"\bDataLoader\([^)]{0,400}num_workers\s*=\s*(?!0\b)"),
        advice=Advice(
            text=(
                "DataLoader's workers: each ends up with a copy of the dataset's Python lists and dicts (reading "
                "them writes their reference counts); keep it in numpy or Arrow arrays, with fewer workers"
            )
        ),
    ),
    _Library(
        processes=_NOTHING,
        code=re.compile(r"\.map\([^)]{0,400}num_proc\s*=|load_dataset\([^)]{0,400}num_proc\s*="),
        advice=Advice(
            text="datasets.map(num_proc=N): each worker was seen to hold about 680 MB; fewer workers, smaller batches",
            command="ds.map(f, num_proc=2, batch_size=100, writer_batch_size=100)",
        ),
    ),
    _Library(
        processes=re.compile(r"hf[-_]xet|hf_transfer"),
        code=re.compile(r"\b(?:snapshot_download|hf_hub_download|upload_(?:folder|large_folder))\("),
        advice=Advice(
            text="downloads from the Hugging Face Hub hold large buffers (hf_xet): fewer at a time",
            command="export HF_XET_HIGH_PERFORMANCE=0 HF_XET_NUM_CONCURRENT_RANGE_GETS=4",
        ),
    ),
    _Library(
        processes=re.compile(r"ray::|raylet|plasma_store"),
        code=re.compile(r"\bray\.init\((?![^)]{0,400}object_store_memory)"),
        advice=Advice(
            text="Ray keeps objects in /dev/shm, by default in 30% of the memory: it counts as used",
            command="ray.init(object_store_memory=2 * 1024**3)",
        ),
    ),
    _Library(
        processes=_NOTHING,
        code=re.compile(r"^\s*(?:import|from)\s+gigatoken\b", re.MULTILINE),
        advice=Advice(
            text="gigatoken's cache of pieces grows with the text: encode a file in several processes, one part each"
        ),
    ),
    _Library(
        processes=re.compile(r"pytest|py\.test"),
        code=_NOTHING,
        advice=Advice(
            text="pytest -n auto starts one worker for each processor, whatever the memory", command="pytest -n 2"
        ),
    ),
)


def advise_libraries(event: OomEvent, script: SuspectScript | None) -> list[Advice]:
    """What is known of the libraries whose processes held the memory, or that the script uses."""
    names = [victim.name for victim in event.victims]
    if event.tasks is not None:
        names += [group.name for group in event.tasks.groups[:3]]
    code = script.text if script is not None else ""
    return [
        library.advice
        for library in _LIBRARIES
        if any(library.processes.match(name) for name in names) or (code and library.code.search(code))
    ]
