"""Take swap away again, as planned."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import NeedsPrivilege
from oomguard.kernel.process.signals import stoppable
from oomguard.swap.system.area import SwapEvents, remove_area, remove_foreign_area
from oomguard.swap.system.facts import may_swapon
from oomguard.swap.system.records import locked_records
from oomguard.text import as_root

if TYPE_CHECKING:
    from oomguard.swap.model import SwapRemoval


def remove_swap(planned: SwapRemoval, *, events: SwapEvents | None = None) -> SwapRemoval:
    """Do what was planned: read back what is swapped, then the line in fstab, then the file.

    Raises: NeedsPrivilege without root; SwapFailed, SwapRefused or Stopped: the same call again resumes.
    """
    if os.geteuid() != 0 or not may_swapon():
        raise NeedsPrivilege("only root can switch swap off", do=as_root("swap remove"))
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
