"""What to do about a SIGKILL without a reason, or memory that ran out elsewhere: where the answer stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers import BY_IDENT
from oomguard.formats.kernel_log import OtherKill

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import Notice


def advise_notice(notice: Notice) -> list[Advice]:
    """The next command, with the pid where the text has one."""
    from_entry = list(BY_IDENT[notice.told_by].advise(_as_kill(notice)))
    if notice.says == "elsewhere":
        return from_entry[:4]
    which = f" --pid {notice.pid}" if notice.pid is not None else ""
    look = Advice(
        text="ask the kernel's log of the machine where it ran (for a container: of its host), soon: it is overwritten",
        command=f"sudo oomguard diagnose{which}",
    )
    watch = Advice(
        text="or run it again under a budget: then the line that held the memory is named",
        command="oomguard run --max-rss SIZE -- COMMAND",
    )
    return [look, *from_entry[:2], watch]


def _as_kill(notice: Notice) -> OtherKill:
    return OtherKill(
        killer=notice.told_by, told_by=notice.told_by, time=notice.time, pid=notice.pid, name=notice.name, cgroup=None,
        processes=None, rss=None, reason=notice.reason, line=notice.line, facts=notice.facts,
    )  # fmt: skip
