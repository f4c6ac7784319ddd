"""What a person sees of a job that was released."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.supervision.model import Released


def render_released(released: Released) -> RenderableType:
    """One line."""
    from rich.text import Text

    if released.stopped:
        return Text(f"process {released.pid}: the job is being ended")
    return Text(f"process {released.pid}: the job continues with a budget of {format_size(released.budget or 0)}")
