"""How much swap is wanted: as asked, or as the report of another command tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.swap.rules.size import predicted_peak, swap_size
from oomguard.units import format_size

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.swap.model import SwapMachine, SwapOptions

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
    room = f"{format_size(available)} are available ({machine.limited_by})"
    if available != machine.available:
        room = (
            f"{format_size(available)} is the limit of {found.limit_of}, which must allow swap, too (memory.swap.max)"
        )
    if size == 0:
        return 0, f"{found.because}, and {room}", found.peak
    return size, f"{found.because}; {room}; the difference and 10 % more is {format_size(size)}", found.peak


def _read_report(path: Path) -> object:
    try:
        with path.open("rb") as file:
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
