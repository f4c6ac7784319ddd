"""What a person sees of a job that stands still at its budget, and how it can go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.supervision.screens.outcome import code_lines, input_lines, process_lines
from oomguard.text import printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.supervision.model import Snapshot


def render_held(held: Snapshot, supervisor_pid: int, suggested: int) -> RenderableType:
    """Build the screen: where it stands, and what to type. `suggested` is a budget it could go on with."""
    from rich.table import Table
    from rich.text import Text

    screen = Table.grid(padding=(0, 2))
    screen.add_column(no_wrap=True)
    screen.add_column(overflow="fold")
    budget = f"{suggested // MIB}M"
    for label, value in (
        (
            "frozen",
            f"at {format_size(held.unreclaimable)} of {format_size(held.budget)}, {held.seconds:.1f} s after its start",
        ),
        *process_lines(held.processes, held.maps),
        *code_lines(held, held.unread),
        *input_lines(held.inputs),
        ("continue", f"oomguard release {supervisor_pid} --max-rss {budget}   (key r)"),
        ("end", f"oomguard release {supervisor_pid} --stop   (key s)"),
    ):
        screen.add_row(label, Text(printable(value)))
    return screen
