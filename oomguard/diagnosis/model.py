"""What killed it, whose limit it was, who filled it and what to do: the answer to "Killed"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from oomguard.diagnosis.screens.detail import render_detail
from oomguard.diagnosis.screens.json import diagnosis_json
from oomguard.diagnosis.screens.summary import six_lines

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.diagnosis.causes.model import Advice, KillCause
    from oomguard.formats.kernel_log import OomEvent, OtherKill, UnitNotice
    from oomguard.kernel.logs.model import LogSource

Verdict = Literal["proved", "likely", "possible", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedEvent:
    """One run of the kernel's OOM killer and why it happened."""

    event: OomEvent
    cause: KillCause


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFinding:
    """What the kernel's counters tell where its log cannot be read. `oom_kills`: since when is `since`."""

    verdict: Verdict
    text: str
    limit_text: str
    oom_kills: int
    since: str
    memcg: str | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """The newest kill that fits what was asked for, and all others that were found, newest first."""

    verdict: Verdict
    killer: str | None
    events: tuple[ExplainedEvent, ...]
    main: ExplainedEvent | None  # of them, the one that the six lines tell of
    others: tuple[OtherKill, ...]  # by programs
    units: tuple[UnitNotice, ...]
    counters: CounterFinding | None
    advice: tuple[Advice, ...]
    sources: tuple[LogSource, ...]
    found: int  # how many kills there were, kept or not
    asked: str | None = None  # what --pid, --name, --since narrowed it to
    newest_is_other: bool = False  # the newest kill is a program's
    verbose: bool = False  # how render() shows it
    every: bool = False

    @property
    def cause(self) -> str | None:
        """The cause of the newest kernel kill; None: the kernel killed nothing."""
        return self.main.cause.kind if self.main and not self.newest_is_other else None

    def render(self) -> RenderableType:
        """Build the screen for people: six lines, and with `verbose` the whole accounting."""
        return render_detail(self) if self.verbose or self.every else six_lines(self)

    def to_json(self) -> dict[str, object]:
        """The same facts for programs: sizes are integers of bytes; keys change only with the schema number."""
        return diagnosis_json(self)
