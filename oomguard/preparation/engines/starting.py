"""What a run starts first: the memory that its processes share, and the first encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.preparation.engines.children import Child, start_child
from oomguard.preparation.engines.slots import SlotLayout, Slots

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.job import Job


def open_slots(job: Job, stack: ExitStack) -> Slots:
    """Make the shared memory, which `stack` closes."""
    layout = SlotLayout(
        longest_piece=job.budget.longest_piece,
        token_bytes=job.resolved.spec.token_bytes,
        slots=job.budget.slots,
    )
    slots = Slots(layout)
    stack.callback(slots.close)
    return slots


def start_nursery(slots: Slots, stack: ExitStack) -> Child:
    """Start the first encoder, which imports what it needs and waits to be told what to do; `stack` ends it."""
    nursery = start_child("encoder_process", share=(slots.fd,))
    stack.callback(nursery.close, kill=True)  # harmless where it has been closed
    return nursery
