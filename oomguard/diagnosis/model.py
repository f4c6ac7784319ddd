"""What was found: the kills with their causes, what to do, and where it was looked for. Sentences are in screens/."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.model import Advice, KillCause
    from oomguard.formats.kernel_log import Notice, OomEvent, OtherKill, UnitNotice
    from oomguard.kernel.model import LogSource

Verdict = Literal["proved", "likely", "possible", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedEvent:
    """One run of the kernel's OOM killer and why it happened."""

    event: OomEvent
    cause: KillCause


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterFinding:
    """What the kernel's counters tell where its log tells nothing. `oom_kills`: since when is `since`."""

    verdict: Verdict
    text: str
    limit_text: str
    oom_kills: int
    since: str
    memcg: str | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The newest kill that fits what was asked for, and all others that were found, newest first."""

    verdict: Verdict
    killer: str | None
    events: tuple[ExplainedEvent, ...]
    main: ExplainedEvent | None  # of them, the one that the screen tells of
    others: tuple[OtherKill, ...]  # by programs, or told by them alone
    units: tuple[UnitNotice, ...]
    counters: CounterFinding | None
    advice: tuple[Advice, ...]
    sources: tuple[LogSource, ...]
    found: int  # how many kills there were, kept or not
    asked: str | None = None  # what --pid, --name, --since narrowed it to
    not_asked: int = 0  # kills that did not fit that
    newest_is_other: bool = False  # the newest kill is a program's
    also_told: tuple[OtherKill, ...] = ()  # the same kills as of `events`, in a program's words
    notices: tuple[Notice, ...] = ()  # a SIGKILL without a reason, other memory than the host's; newest first
    kernel_count: int | None = None  # processes that the kernel has killed since boot, by its counter
    verbose: bool = False  # how render() shows it
    every: bool = False

    @property
    def cause(self) -> str | None:
        """The cause of the newest kernel kill; None: the kernel killed nothing."""
        return self.main.cause.kind if self.main and not self.newest_is_other else None
