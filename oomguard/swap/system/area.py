"""Make and remove a swap area whole: a step that fails, or an interrupt, takes back all that went before."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import OomguardError, Stopped, SwapFailed
from oomguard.swap.system import file as swap_file
from oomguard.swap.system import records as fstab_file
from oomguard.swap.system import switch as swap_switch
from oomguard.swap.system.facts import check_can_be_off
from oomguard.swap.system.records import SwapRecord, is_left_over

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal

    from oomguard.swap.model import RemovedArea, StepKind, SwapPlan, SwapStep
    from oomguard.swap.system.records import SwapRecords


def _nothing(*_: object) -> None:
    pass


def _nobody() -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapEvents:
    """Callbacks to follow what is done, and to stop it."""

    on_step: Callable[[SwapStep], None] = _nothing  # before each
    on_progress: Callable[[str, int, int], None] = _nothing  # what is done, bytes of it, bytes in all
    on_note: Callable[[str], None] = _nothing
    stop_asked: Callable[[], str | None] = _nobody  # the name of the signal that asked to stop


def make_area(
    plan: SwapPlan,
    records: SwapRecords,
    *,
    until: Literal["removed", "command"],
    root: Path = Path("/"),
    events: SwapEvents,
) -> SwapRecord:
    """Make what was planned; when this returns, the area is on and in the records.

    Raises: SwapFailed, NeedsPrivilege, Stopped; nothing of it is left then.
    """
    maker = _Maker(plan, records, until, root, events)
    try:
        return maker.make()
    except BaseException:
        _take_back(maker.record, records, root)
        raise
    finally:
        maker.close()


class _Maker:
    """One making: each kind of step, and the record that grows with it."""

    def __init__(
        self,
        plan: SwapPlan,
        records: SwapRecords,
        until: Literal["removed", "command"],
        root: Path,
        events: SwapEvents,
    ) -> None:
        self._plan = plan
        self._records = records
        self._root = root
        self._events = events
        self._fd = -1
        self.record = SwapRecord(
            path=plan.path, size=plan.size, state="making", until=until, persist=False,
            subvolume=plan.place.new_subvolume if plan.place else None, inode=None, generation=None,
            maker_pid=os.getpid(), begun=time.time(),
        )  # fmt: skip
        self._do: dict[StepKind, Callable[[], None]] = {
            "subvolume": self._make_subvolume,
            "create": self._create,
            "no_copy_on_write": lambda: swap_file.set_no_copy_on_write(self._fd, plan.path),
            "pin": lambda: swap_file.pin(self._fd, plan.path),
            "allocate": self._allocate,
            "zeros": self._write_zeros,
            "format": lambda: swap_switch.format_as_swap(plan.path),
            "enable": self._enable,
            "verify": self._verify,
            "fstab": self._add_to_fstab,
        }

    def make(self) -> SwapRecord:
        # First of all: who is killed at any later moment has left a note of what may be there.
        self._records.write(self.record)
        for step in self._plan.steps:
            if asked := self._events.stop_asked():
                raise Stopped(f"{asked}; nothing of {self._plan.path} is left", do="run the same command again")
            self._events.on_step(step)
            if step.kind in self._do:  # "mode" and "backup" are done with the steps beside them
                self._do[step.kind]()
        self._note(state="on")
        return self.record

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def _note(self, **changed: Any) -> None:
        self.record = replace(self.record, **changed)
        self._records.write(self.record)

    def _make_subvolume(self) -> None:
        assert self.record.subvolume is not None
        swap_file.make_subvolume(self.record.subvolume)

    def _create(self) -> None:
        self._fd = swap_file.create_file(self._plan.path)
        self._note(inode=os.fstat(self._fd).st_ino, generation=swap_file.generation_of(self._fd))

    def _allocate(self) -> None:
        path, size, stop_asked = self._plan.path, self._plan.size, self._events.stop_asked
        if not swap_file.allocate_blocks(self._fd, path, size, stop_asked=stop_asked):
            self._write_zeros()

    def _write_zeros(self) -> None:
        swap_file.write_zeros(
            self._fd,
            self._plan.path,
            self._plan.size,
            on_progress=lambda done, total: self._events.on_progress("writing zeros", done, total),
            stop_asked=self._events.stop_asked,
        )

    def _enable(self) -> None:
        path, priority = self._plan.path, self._plan.priority
        refusal = swap_switch.switch_on(path, priority=priority)
        if refusal is not None and refusal.needs_zeros:
            # Linux 5.7 and 5.8 took no block of ext4 that was allocated and never written.
            self._events.on_note(f"the kernel refuses the file as fallocate made it ({refusal.because}): writing zeros")
            self._write_zeros()
            swap_switch.format_as_swap(path)
            refusal = swap_switch.switch_on(path, priority=priority)
        if refusal is not None:
            raise SwapFailed(f"swapon {path} was refused: {refusal.because}", do=refusal.do)

    def _verify(self) -> None:
        note = swap_switch.check_is_on(self._plan.path, self._plan.size)
        if note is not None:
            self._events.on_note(note)

    def _add_to_fstab(self) -> None:
        assert self._plan.fstab_line is not None
        if fstab_file.has_line(self._plan.path, root=self._root):
            self._events.on_note(f"fstab has a line for {self._plan.path} already; it stays as it is")
            return
        self._note(persist=True)
        fstab_file.add_swap_line(self._plan.fstab_line, self._plan.path, root=self._root)


def _take_back(record: SwapRecord, records: SwapRecords, root: Path) -> None:
    """Undo what a making had done. If that fails too, the record stays, and the next call tries again."""
    if record.inode is None:  # so a file at that path is not ours
        if record.subvolume is not None:
            swap_file.remove_subvolume(record.subvolume)
        records.forget(record.path)
    else:
        remove_area(record, records, root=root)


def remove_area(
    record: SwapRecord, records: SwapRecords, *, root: Path = Path("/"), events: SwapEvents = SwapEvents()
) -> None:
    """Switch a recorded area off, take its line out of fstab, remove its file and the record.

    Raises: SwapRefused if memory cannot take back what is swapped; SwapFailed, Stopped. What was not done yet can
    be done by the same call again.
    """
    check_can_be_off(record.path, root)
    _switch_off(record.path, events)
    if record.persist:
        fstab_file.remove_swap_line(record.path, root=root)
    if is_its_file(record):
        swap_file.remove_file(record.path)
    elif os.path.lexists(record.path):
        events.on_note(f"{record.path} is not the file that oomguard made there: it stays")
    if record.subvolume is not None:
        swap_file.remove_subvolume(record.subvolume)
    records.forget(record.path)


def remove_foreign_area(area: RemovedArea, *, events: SwapEvents) -> None:
    """Switch off an area that oomguard did not make, and remove its line in fstab and its file.

    Raises: SwapRefused if memory cannot take back what is swapped; SwapFailed, Stopped.
    """
    check_can_be_off(area.path)
    _switch_off(area.path, events)
    if area.in_fstab:
        fstab_file.remove_swap_line(area.path)
    if area.deletes:
        swap_file.remove_file(area.path)


def _switch_off(path: str, events: SwapEvents) -> None:
    swap_switch.switch_off(
        path,
        on_progress=lambda done, total: events.on_progress("reading back what is swapped", done, total),
        stop_asked=events.stop_asked,
    )


def remove_left_over(records: SwapRecords, *, root: Path = Path("/"), events: SwapEvents) -> list[str]:
    """Remove what killed runs left. Gives the paths; one that cannot be removed is reported and stays."""
    removed = []
    for record in records.all():
        if is_left_over(record, root):
            try:
                remove_area(record, records, root=root, events=events)
            except Stopped:
                raise
            except OomguardError as error:
                events.on_note(f"a killed run left {record.path}, which could not be removed: {error}; {error.do}")
            else:
                removed.append(record.path)
                events.on_note(f"removed what a killed run left: {record.path}")
    return removed


def is_its_file(record: SwapRecord) -> bool:
    """Whether the file at the record's path is the one that oomguard made, not another put in its place."""
    try:
        fd = os.open(record.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != 0 or status.st_nlink != 1:
            return False
        if record.inode is not None:
            return (status.st_ino, swap_file.generation_of(fd)) == (record.inode, record.generation)
        # Killed between making it and noting its number: then it is still empty, and younger than the record.
        return status.st_size == 0 and stat.S_IMODE(status.st_mode) == 0o600 and status.st_ctime > record.begun - 1
    finally:
        os.close(fd)
