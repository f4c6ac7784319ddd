"""What became of a held job."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A held job was let go, or ended. Sizes in bytes."""

    pid: int
    stopped: bool
    budget: int | None  # the new one; None when it was ended

    def render(self) -> RenderableType:
        """One line for people."""
        from rich.text import Text

        if self.stopped:
            return Text(f"process {self.pid}: the job is being ended")
        return Text(f"process {self.pid}: the job goes on with a budget of {format_size(self.budget or 0)}")

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"schema": "oomguard.release/1", **asdict(self)}
