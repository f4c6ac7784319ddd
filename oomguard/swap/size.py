"""How much swap is wanted: as asked, or as the report of another command makes it necessary."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_readable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.swap.model import SwapMachine, SwapOptions


_MARGIN = 0.1
_MOST = 1 << 60  # a document may say anything; no machine has an exbibyte
_DO = "oomguard diagnose --json > killed.json  # or the JSON of profile --json or run --report FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedPeak:
    """What a job needs. Units: bytes."""

    peak: int
    because: str  # how that is known, for people
    limit: int | None = None  # of the cgroup whose limit killed it; None: it was no cgroup's
    limit_of: str = ""


def predicted_peak(report: Any) -> PredictedPeak:
    """Read the peak out of a result of diagnose, profile or run.

    Raises: BadInput if it is none of them, or does not tell how much memory the job used.
    """
    schema = report.get("schema") if isinstance(report, dict) else None
    match schema:
        case "oomguard.diagnosis/1" | "oomguard.diagnosis/2":
            found = _of_diagnosis(report)
        case "oomguard.run_outcome/1":
            found = _of_outcome(report)
        case "oomguard.peak_profile/1":
            found = _of_profile(report)
        case _:
            raise BadInput(f"its schema is {schema!r:.60}, which has no peak", do=_DO)
    if found is None:
        raise BadInput(f"this {schema} does not say how much memory the job used", do=_DO)
    return found


def swap_size(peak: int, available: int) -> int:
    """The predicted peak less what is available, and a tenth more. 0: it fits. Units: bytes, whole MiB."""
    missing = peak - available
    return 0 if missing <= 0 else -(-int(missing * (1 + _MARGIN)) // MIB) * MIB


def _of_profile(report: dict[str, Any]) -> PredictedPeak | None:
    forecast = report.get("forecast")
    if isinstance(forecast, dict):
        for key in ("peak_unreclaimable", "peak", "predicted_peak"):
            if peak := _size(forecast.get(key)):
                return PredictedPeak(
                    peak=peak, because=f"the profile forecasts {format_size(peak)} for all of its input"
                )
    peak = _size(report.get("peak_unreclaimable"))
    return PredictedPeak(peak=peak, because=f"its profile shows a peak of {format_size(peak)}") if peak else None


def _of_outcome(report: dict[str, Any]) -> PredictedPeak | None:
    peak = _size(report.get("peak_unreclaimable"))
    if not peak:
        return None
    if report.get("stopped_by") not in ("budget", "kernel"):
        return PredictedPeak(peak=peak, because=f"the run needed {format_size(peak)}")
    inputs = report.get("inputs")
    positions = [_progress(item) for item in inputs] if isinstance(inputs, list) else []
    size, position = max((found for found in positions if found), default=(0, 0))
    if position >= size // 100 > 0:  # the first percent is mostly start-up
        whole = min(_MOST, peak * size // position)
        return PredictedPeak(
            peak=whole,
            because=f"it used {format_size(peak)} when it was stopped at {100 * position // size}% of its input: "
            f"{format_size(whole)} for all of it, if it is read once",
        )
    return _twice(peak)


def _of_diagnosis(report: dict[str, Any]) -> PredictedPeak | None:
    events = report.get("events")
    killed = [event for event in events if _victims(event)] if isinstance(events, list) else []
    if not killed:
        return None
    newest = killed[0]
    held = sum(
        (_size(victim.get("anon_rss")) or 0) + (_size(victim.get("shmem_rss")) or 0) for victim in _victims(newest)
    )
    found = _twice(held) if held else None
    limit = _size(newest.get("memcg_limit")) if newest.get("constraint") == "memcg" else None
    if found is None or limit is None:
        return found
    return replace(found, limit=limit, limit_of=f"cgroup {str(newest.get('oom_memcg'))[:200]}")


def _twice(held: int) -> PredictedPeak:
    """A killed job shows how much it used, not how much more it needed."""
    return PredictedPeak(
        peak=min(_MOST, 2 * held),
        because=f"it used {format_size(held)} when it was killed; how much more it needed is unknown, so twice that",
    )


def _victims(event: Any) -> list[dict[str, Any]]:
    victims = event.get("victims") if isinstance(event, dict) else None
    return [victim for victim in victims if isinstance(victim, dict)] if isinstance(victims, list) else []


def _progress(item: Any) -> tuple[int, int] | None:
    size, position = (_size(item.get(key)) for key in ("size", "position")) if isinstance(item, dict) else (None, None)
    return (size, position) if size and position and position <= size else None


def _size(value: Any) -> int | None:
    """A number of bytes that can be one; JSON may hold true, 1e999 or a text there."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MOST else None


_LARGEST_REPORT = 64 << 20


def wanted_size(options: SwapOptions, machine: SwapMachine) -> tuple[int, str, int | None]:
    """The size, where it comes from, and the predicted peak. A size of 0: it fits already."""
    if (options.size is None) == (options.report is None):
        raise ValueError("one of size and report, not both")
    if options.report is None:
        assert options.size is not None
        return options.size, "", None
    found = predicted_peak(_read_report(options.report))
    available = machine.available if found.limit is None else min(machine.available, found.limit)
    size = swap_size(found.peak, available)
    room = f"{format_size(available)} is available ({machine.limited_by})"
    if available != machine.available:
        room = (
            f"{format_size(available)} is the limit of {found.limit_of}, which must allow swap, too (memory.swap.max)"
        )
    if size == 0:
        return 0, f"{found.because}, and {room}", found.peak
    return size, f"{found.because}; {room}; the difference plus 10% is {format_size(size)}", found.peak


def _read_report(path: Path) -> object:
    try:
        with open_readable(path) as file:
            text = file.read(_LARGEST_REPORT + 1)
    except OSError as error:
        raise BadInput(
            f'cannot read "{path}": {error.strerror}', do="oomguard diagnose --json > killed.json"
        ) from error
    if len(text) > _LARGEST_REPORT:
        raise BadInput(f'"{path}" is too large to be a report', do="oomguard diagnose --json > killed.json")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f'"{path}" is not JSON: {error}', do="oomguard diagnose --json > killed.json") from error
