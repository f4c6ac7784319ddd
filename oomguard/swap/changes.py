"""Swap added, until it is removed or for one command, and taken away: planned, done, each step undone on failure."""

from __future__ import annotations

import os
import shlex
import stat
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import NothingFound, OomguardError, SwapRefused, edge
from oomguard.formats.proc import SwapArea, find_area
from oomguard.kernel.machine import read_headroom
from oomguard.kernel.process import check_can_start, stoppable, wait_for_command
from oomguard.swap.model import RemovedArea, SwapAdded, SwapRemoval
from oomguard.swap.system.area import SwapEvents, is_its_file, make_area, remove_area, remove_foreign_area
from oomguard.swap.system.facts import check_can_be_off, check_may_switch, hibernates_to_swap, read_area, read_swaps
from oomguard.swap.system.records import SwapRecord, has_line, is_left_over, locked_records, read_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.swap.model import SwapPlan


# Make the swap that was planned: until it is removed, for a block of code, or for one command.


@edge
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
    """Keep the planned swap on until the block ends, however it ends.

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


@edge
def run_with_swap(plan: SwapPlan, command: Sequence[str], *, events: SwapEvents | None = None) -> SwapAdded:
    """Run a command while the planned swap is on, and remove the swap when it ends, however it ends.

    The result's `exit_code` is the command's own. Call it from the main thread. If the swap cannot be removed at the
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


def _check_may_apply(plan: SwapPlan) -> None:
    shown = "; oomguard swap --dry-run shows the commands"
    check_may_switch(f"make swap; {plan.path} was not made", "swap ...", also=shown)


def _added(plan: SwapPlan, seconds: float) -> SwapAdded:
    area = read_area(plan.path) if plan.path else None
    return SwapAdded(
        path=plan.path or None,
        size=plan.size,
        priority=area.priority if area else None,
        persist=plan.persist,
        wall_seconds=seconds,
        swap_total=sum(each.size for each in read_swaps()),
        available=read_headroom().machine_available,
    )


@contextmanager
def _stoppable(events: SwapEvents) -> Iterator[SwapEvents]:
    """Let Ctrl-C and SIGTERM stop between two steps."""
    with stoppable(events.stop_asked) as stop_asked:
        yield replace(events, stop_asked=stop_asked)


# Take swap away again: what oomguard made, or an area that is named. Planned, then done.


@edge
def plan_swap_removal(path: Path | None = None) -> SwapRemoval:
    """Decide what to remove: the area named, or (None) all that oomguard made and no command uses.

    Raises: NothingFound if there is none; SwapRefused if memory cannot take back what is swapped, or the area is
    used by a command or for hibernation.
    """
    records, areas = read_records(), read_swaps()
    if path is None:
        chosen = [record for record in records if record.until == "removed" or is_left_over(record)]
        if not chosen:
            raise NothingFound("there is no oomguard swap to remove", do="oomguard swap status")
        planned = tuple(_of_record(record, areas) for record in chosen)
    else:
        planned = (_named(os.path.abspath(path), records, areas),)  # noqa: PTH100 - links are not followed
    for area in planned:
        check_can_be_off(area.path)
    return SwapRemoval(areas=planned, done=False, as_root=os.geteuid() == 0)


def _named(path: str, records: list[SwapRecord], areas: list[SwapArea]) -> RemovedArea:
    own = next((record for record in records if record.path == path), None)
    if own is not None:
        if own.until == "command" and not is_left_over(own):
            raise SwapRefused(
                f"a command that oomguard started uses {path} (pid {own.maker_pid})",
                do=f"tail --pid={own.maker_pid} -f /dev/null  # waits until it ends",
            )
        return _of_record(own, areas)
    area = find_area(areas, path)
    if area is None:
        raise NothingFound(f'"{path}" is not a swap area that is on or that oomguard made', do="oomguard swap status")
    if area.kind == "file" and hibernates_to_swap():
        raise SwapRefused(
            f"oomguard did not make {path}, and this machine hibernates (resume= on the kernel's command line), "
            "perhaps to that file",
            do=f"sudo swapoff {shlex.quote(path)}  # if you know that it hibernates to another",
        )
    is_file = stat.S_ISREG(Path(path).lstat().st_mode) if os.path.lexists(path) else False
    return RemovedArea(
        path=path, size=area.size, used=area.used, on=True, by_oomguard=False,
        in_fstab=is_file and has_line(path), deletes=is_file,
    )  # fmt: skip


def _of_record(record: SwapRecord, areas: list[SwapArea]) -> RemovedArea:
    area = find_area(areas, record.path)
    return RemovedArea(
        path=record.path, size=record.size, used=area.used if area else 0, on=area is not None, by_oomguard=True,
        in_fstab=record.persist and has_line(record.path), deletes=is_its_file(record),
    )  # fmt: skip


@edge
def remove_swap(planned: SwapRemoval, *, events: SwapEvents | None = None) -> SwapRemoval:
    """Do what was planned: read back what is swapped, then the line in fstab, then the file.

    Raises: NeedsPrivilege without root; SwapFailed, SwapRefused or Stopped: the same call again resumes.
    """
    check_may_switch("switch swap off", "swap remove")
    began = time.monotonic()
    following = events or SwapEvents()
    with stoppable(following.stop_asked) as stop_asked, locked_records() as records:
        known = {record.path: record for record in records.all()}
        watched = replace(following, stop_asked=stop_asked)
        for area in planned.areas:
            if area.path in known:
                remove_area(known[area.path], records, events=watched)
            else:
                remove_foreign_area(area, events=watched)
    return replace(planned, done=True, wall_seconds=time.monotonic() - began)
