"""Where and how swap would be made on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from oomguard.swap.rules.plan import no_swap_needed, pick_place, plan_swap_file
from oomguard.swap.rules.refusals import check_machine, check_size
from oomguard.swap.size import wanted_size
from oomguard.swap.system.area import SwapEvents, remove_left_over
from oomguard.swap.system.facts import may_swapon, read_swap_machine
from oomguard.swap.system.file import places_to_pick, read_place
from oomguard.swap.system.records import locked_records

if TYPE_CHECKING:
    from oomguard.swap.model import SwapOptions, SwapPlan


def plan_swap(options: SwapOptions, *, clean: bool = False, events: SwapEvents | None = None) -> SwapPlan:
    """Decide where and how the swap is made. With `clean` (root), what killed runs left is removed first.

    Raises: SwapRefused where it cannot or should not be; BadInput for a report without a peak; NeedsPrivilege for
    a path that may not be looked into.
    """
    if clean and os.geteuid() == 0 and may_swapon():
        with locked_records() as records:
            remove_left_over(records, events=events or SwapEvents())
    machine = read_swap_machine()
    size, because, peak = wanted_size(options, machine)
    if size == 0:
        return no_swap_needed(because, as_root=os.geteuid() == 0)
    check_machine(machine)
    check_size(size)
    place = read_place(options.path) if options.path else pick_place(places_to_pick(machine.kernel), size)
    return plan_swap_file(
        place, machine, size, because=because, peak=peak, priority=options.priority, persist=options.persist,
        for_command=options.for_command, as_root=os.geteuid() == 0,
    )  # fmt: skip
