"""What to do about a kill; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.advice.kernel import advise, with_script
from oomguard.diagnosis.advice.killers import (
    advise_counters,
    advise_nothing_found,
    advise_notice,
    advise_other,
    advise_unit,
)
from oomguard.diagnosis.advice.libraries import advise_libraries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.diagnosis.advice.kernel import SuspectScript
    from oomguard.diagnosis.causes.model import Advice
    from oomguard.diagnosis.model import ExplainedEvent
    from oomguard.formats.cgroup import OomCounters
    from oomguard.formats.kernel_log import Notice, OtherKill

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
