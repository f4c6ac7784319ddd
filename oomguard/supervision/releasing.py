"""A job that stays frozen until somebody says what is to become of it: `oomguard release`, or a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.cgroup.refusals import LimitDidNotStick
from oomguard.supervision.control_socket import ControlSocket
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.supervision.control_socket import Visitor
    from oomguard.supervision.model import Snapshot
    from oomguard.supervision.options import RunEvents
    from oomguard.supervision.rules.limits import JobLimits
    from oomguard.supervision.watched_job import WatchedJob


class Releasing:
    """Waits for it, each time that the job is held."""

    def __init__(self, job: WatchedJob, events: RunEvents, swap_max: int | None) -> None:
        self.swap_max = swap_max  # how much of the job may be swapped out; None: any
        self._job = job
        self._events = events

    def wait(self, held: Snapshot, suggested: int) -> bool:
        """Stay frozen until somebody says what is to become of the job. True: it continues."""
        self._job.waits_for_release = True
        try:
            return self._is_released(held, suggested)
        finally:
            self._job.waits_for_release = False

    def _is_released(self, held: Snapshot, suggested: int) -> bool:
        with ControlSocket() as control, self._job.terminal.keys() as keys:
            self._events.held(held, waits=True, suggested=suggested)  # whoever reads it may ask at once
            while not self._job.asked_to_end and self._job.goes_on():
                ready = self._job.wait(60.0, [*control.wake_on(), *keys.wake_on()])
                key = keys.read() if ready else ""
                if key == "s":
                    return False
                visitor = control.receive() if ready else None
                if visitor is None and key != "r":
                    continue
                if visitor is not None and visitor.request.stop:
                    visitor.answer(ok=True, text="the job is ended")
                    return False
                if self._release(visitor, suggested):
                    return True
        return False

    def _release(self, visitor: Visitor | None, suggested: int) -> bool:
        """Let it continue with what was asked for, or, by a key, what was `suggested`. False: it holds too much."""
        request = visitor.request if visitor is not None else None
        swap_max = request.swap_max if request is not None and request.opens_swap else self.swap_max
        budget = request.max_rss if request is not None and request.max_rss else suggested
        limits = self._job.backend.plan_budget(budget)
        refusal = self._refusal(limits)
        if refusal is None:
            try:
                self._job.backend.set_budget(limits, swap_max=swap_max)
            except (OSError, LimitDidNotStick) as error:
                refusal = f"the kernel did not accept the new budget: {error}"
        if refusal is not None:
            self._events.stays_held(refusal)
            if visitor is not None:
                visitor.answer(ok=False, text=refusal, budget=limits.budget)
            return False
        self.swap_max = swap_max
        self._job.record.held = None
        self._events.released(limits.budget)
        if visitor is not None:
            visitor.answer(ok=True, text="; ".join(["the job continues", *limits.notes]), budget=limits.budget)
        self._job.let_go()
        return True

    def _refusal(self, limits: JobLimits) -> str | None:
        """Why it could not continue under these limits. Asked before the kernel is: v2 would kill it, v1 says EBUSY."""
        held = self._job.backend.read_memory(exact=True).unreclaimable
        if held < limits.budget:
            return None
        return f"it holds {format_size(held)} already, which is not less than {format_size(limits.budget)}"
