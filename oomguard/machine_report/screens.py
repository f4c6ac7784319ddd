"""What people see of a machine's report: each line fine, or marked with the command that changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from oomguard.text import Command, Rows

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.machine_report.model import DoctorReport


def render_report(report: DoctorReport) -> RenderableType:
    """Build the screen for people."""
    rows: list[tuple[str, str | Command]] = []
    width = max(len(finding.topic) for finding in report.findings)
    above = ""
    for finding in report.findings:
        topic = "" if finding.topic == above else finding.topic
        rows.append((f"{topic:<{width}} {' ' if finding.fine else '!'}", finding.text))
        if finding.do:
            rows.append(("", Command(finding.do)))
        above = finding.topic
    worse = sum(not finding.fine for finding in report.findings)
    last = (
        "no problems found" if not worse else f"{worse} of {len(report.findings)} checks found something to improve (!)"
    )
    return Group(Rows(rows, gap=1), Text(""), Rows([("", last)], gap=0))
