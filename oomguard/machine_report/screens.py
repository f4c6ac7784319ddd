"""What this machine would do to a big job: each line fine, or what it costs and the command that changes it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.machine_report.model import DoctorFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line."""

    topic: str
    text: str
    fine: bool = True
    do: str | None = None  # the command that changes it


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """All lines, and the facts they come from."""

    findings: tuple[Finding, ...]
    facts: DoctorFacts

    @property
    def fine(self) -> bool:
        """Whether there is nothing to better."""
        return all(finding.fine for finding in self.findings)

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 1))
        screen.add_column(no_wrap=True)
        screen.add_column(no_wrap=True)
        screen.add_column(overflow="fold")
        above = ""
        for finding in self.findings:
            topic = "" if finding.topic == above else finding.topic
            screen.add_row(topic, "" if finding.fine else "!", Text(printable(finding.text)))
            above = finding.topic
            if finding.do:
                screen.add_row("", "", Text(f"  {printable(finding.do)}"))
        worse = sum(not finding.fine for finding in self.findings)
        last = "all of it is fine" if not worse else f"{worse} of {len(self.findings)} lines could be better (!)"
        return Group(screen, Text(f"\n{last}"))

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        return {
            "schema": "oomguard.doctor/1",
            "fine": self.fine,
            "findings": [asdict(finding) for finding in self.findings],
            "facts": _with_old_name(asdict(self.facts)),
        }


def _with_old_name(facts: dict[str, Any]) -> dict[str, Any]:
    """The polling backend was called "watchdog" in 0.1, and is so in JSON."""
    held = facts["enforcement"]
    return facts if held is None or held["way"] != "polling" else {**facts, "enforcement": {**held, "way": "watchdog"}}
