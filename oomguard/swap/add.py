"""More memory for a while: swap planned, made, used by one command, removed."""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NeedsPrivilege, OomguardError, SwapRefused
from oomguard.formats.swaps import find_area
from oomguard.kernel.machine.headroom import read_headroom
from oomguard.kernel.process.foreground import check_can_start, wait_for_command
from oomguard.kernel.process.stop_request import stoppable
from oomguard.swap.rules.plan import no_swap_needed, pick_place, plan_swap_file
from oomguard.swap.rules.refusals import check_machine, check_size
from oomguard.swap.rules.size import predicted_peak, swap_size
from oomguard.swap.screens.change import SwapAdded
from oomguard.swap.system.area import SwapEvents, make_area, remove_area, remove_left_over
from oomguard.swap.system.facts import may_swapon, read_swap_machine, read_swaps
from oomguard.swap.system.place import places_to_pick, read_place
from oomguard.swap.system.records import locked_records
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from oomguard.swap.model import SwapMachine
    from oomguard.swap.screens.plan import SwapPlan
    from oomguard.swap.system.records import SwapRecord

__all__ = ["SwapEvents", "SwapOptions", "add_swap", "plan_swap", "run_with_swap", "temporary_swap"]

_LARGEST_REPORT = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapOptions:
    """What swap to make. One of `size` (bytes) and `report` is needed."""

    size: int | None = None
    report: Path | None = None  # the JSON of diagnose, profile or run, which tells the size
    path: Path | None = None  # a file to be, or a folder for it; None: the fastest suitable disk with room
    priority: int | None = None  # 0 to 32767; None: below all that are on
    persist: bool = False  # on again after each boot
    for_command: bool = False  # for run_with_swap(): the plan then says so


def plan_swap(options: SwapOptions, *, clean: bool = False, events: SwapEvents | None = None) -> SwapPlan:
    """Decide where and how the swap is made. With `clean` (root), what killed runs left is removed first.

    Raises: SwapRefused where it cannot or should not be; BadInput for a report without a peak; NeedsPrivilege for
    a path that may not be looked into.
    """
    if clean and os.geteuid() == 0 and may_swapon():
        with locked_records() as records:
            remove_left_over(records, events=events or SwapEvents())
    machine = read_swap_machine()
    size, because, peak = _size(options, machine)
    if size == 0:
        return no_swap_needed(because, as_root=_is_root())
    check_machine(machine)
    check_size(size)
    place = read_place(options.path) if options.path else pick_place(places_to_pick(machine.kernel), size)
    return plan_swap_file(
        place, machine, size, because=because, peak=peak, priority=options.priority, persist=options.persist,
        for_command=options.for_command, as_root=_is_root(),
    )  # fmt: skip


def add_swap(plan: SwapPlan, *, events: SwapEvents | None = None) -> SwapAdded:
    """Make the planned swap and switch it on. It stays until remove_swap(), or (not `persist`) the next boot.

    Raises: NeedsPrivilege without root; SwapFailed if a step fails, Stopped by Ctrl-C: nothing is left then.
    """
    if plan.place is None:
        return _added(plan, 0.0)
    began = time.monotonic()
    _check_may_apply(plan)
    with _stoppable(events or SwapEvents()) as following, locked_records() as records:
        make_area(plan, records, until="removed", events=following)
    return _added(plan, time.monotonic() - began)


@contextmanager
def temporary_swap(plan: SwapPlan, *, events: SwapEvents | None = None) -> Iterator[SwapAdded]:
    """Have the planned swap until the block ends, however it ends.

    Raises: as add_swap(); SwapRefused or SwapFailed at the end where memory cannot take back what is swapped.
    """
    following = events or SwapEvents()
    if plan.place is None:
        yield _added(plan, 0.0)
        return
    with _stoppable(following) as watched:
        added, record, alive = _make_held(plan, watched)
    try:
        yield added
    finally:
        os.close(alive)
        _remove(record, following)


def run_with_swap(plan: SwapPlan, command: Sequence[str], *, events: SwapEvents | None = None) -> SwapAdded:
    """Run a command while the planned swap is on, and remove the swap when it ends, however it ends.

    The result's `exit_code` is the command's own. For the main thread. Where the swap cannot be removed at the
    end, `removed` is False and a note says why.
    Raises: as add_swap(); CannotStart; SwapRefused if the command could not use the swap.
    """
    following = events or SwapEvents()
    check_can_start(command[0])
    if plan.place is None:
        return replace(_added(plan, 0.0), command=tuple(command), exit_code=wait_for_command(command))
    if plan.helps == "no":
        reason = next(concern for concern in plan.concerns if concern.effect == "none")
        raise SwapRefused(f"it would not help {command[0]}: {reason.text}", do=reason.command or "another machine")
    with _stoppable(following) as watched:
        added, record, alive = _make_held(plan, watched)
        try:
            exit_code = wait_for_command(command, inherited=(alive,), stop_asked=watched.stop_asked)
        finally:
            os.close(alive)
            removed = _removed(record, following)
    return replace(added, command=tuple(command), exit_code=exit_code, removed=removed)


def _make_held(plan: SwapPlan, events: SwapEvents) -> tuple[SwapAdded, SwapRecord, int]:
    """Make swap that is in use while the descriptor given back, or a copy that a child inherited, is open."""
    began = time.monotonic()
    _check_may_apply(plan)
    with locked_records() as records:
        record = make_area(plan, records, until="command", events=events)
        alive = records.hold(plan.path)
    return _added(plan, time.monotonic() - began), record, alive


def _remove(record: SwapRecord, events: SwapEvents) -> None:
    with _stoppable(events) as watched, locked_records() as records:
        remove_area(record, records, events=watched)


def _removed(record: SwapRecord, events: SwapEvents) -> bool:
    """Remove the swap after its command; the command's exit code is worth more than an error about that."""
    try:
        _remove(record, events)
    except OomguardError as error:
        events.on_note(f"{record.path} is still on: {error}; {error.do}")
        return False
    return True


def _size(options: SwapOptions, machine: SwapMachine) -> tuple[int, str, int | None]:
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
        room = f"{format_size(available)} is what {found.limit_of} allows, which must let it swap (memory.swap.max)"
    if size == 0:
        return 0, f"{found.because}, and {room}", found.peak
    return size, f"{found.because}; {room}; the rest and 10 % more is {format_size(size)}", found.peak


def _read_report(path: Path) -> object:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_REPORT + 1)
    except OSError as error:
        raise BadInput(
            f'cannot read "{path}": {error.strerror}', do="oomguard diagnose --json > killed.json"
        ) from error
    if len(text) > _LARGEST_REPORT:
        raise BadInput(f'"{path}" is larger than any report', do="oomguard diagnose --json > killed.json")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f'"{path}" is no JSON: {error}', do="oomguard diagnose --json > killed.json") from error


def _check_may_apply(plan: SwapPlan) -> None:
    if not _is_root() or not may_swapon():
        raise NeedsPrivilege(
            f"only root can make swap; {plan.path} was not made",
            do="the same with sudo, or the commands of oomguard swap --dry-run",
        )


def _is_root() -> bool:
    return os.geteuid() == 0


def _added(plan: SwapPlan, seconds: float) -> SwapAdded:
    areas = read_swaps()
    area = find_area(areas, plan.path) if plan.path else None
    return SwapAdded(
        path=plan.path or None,
        size=plan.size,
        priority=area.priority if area else None,
        persist=plan.persist,
        wall_seconds=seconds,
        swap_total=sum(each.size for each in areas),
        available=read_headroom().machine_available,
    )


@contextmanager
def _stoppable(events: SwapEvents) -> Iterator[SwapEvents]:
    """Let Ctrl-C and SIGTERM stop between two steps."""
    with stoppable(events.stop_asked) as stop_asked:
        yield replace(events, stop_asked=stop_asked)
