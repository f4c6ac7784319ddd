"""The public answer of diagnose(): what was found, as a screen for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.diagnosis.model import Findings
from oomguard.diagnosis.screens.detail import render_detail
from oomguard.diagnosis.screens.json import diagnosis_json
from oomguard.diagnosis.screens.layout import Screen
from oomguard.diagnosis.screens.summary import lines_of

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(Findings):
    """What killed it, whose limit it was, who filled it and what to do: the answer to "Killed"."""

    def render(self) -> RenderableType:
        """Build the screen for people: a few lines, and with `verbose` the whole accounting."""
        return render_detail(self) if self.verbose or self.every else Screen([lines_of(self)])

    def to_json(self) -> dict[str, object]:
        """The same facts for programs: sizes are integers of bytes; keys change only with the schema number."""
        return diagnosis_json(self)
