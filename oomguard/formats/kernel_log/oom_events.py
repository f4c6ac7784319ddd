"""From messages to findings: which lines belong to the same run of the OOM killer, and which repeat another."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from oomguard.formats.kernel_log import oom_lines
from oomguard.formats.kernel_log.oom_report import OomReport
from oomguard.formats.kernel_log.records import LogFinding, SwapNotes, UnitNotice
from oomguard.formats.kernel_log.task_table import ROW_BEFORE_ITS_KILL

if TYPE_CHECKING:
    from oomguard.formats.kernel_log.log_lines import Message, ProgramReader

PATIENCE_LINES = 3000  # that mean nothing to an open report before it is given up
_REMEMBERED = 4096
_SHORT_NAME = 40
_Key = TypeVar("_Key")


@dataclass(slots=True)
class Known:
    """What was read, by whatever way it came: two loggers of one machine, or a machine that collects."""

    victims: OrderedDict[tuple[int, str], None] = field(default_factory=OrderedDict)
    kill_lines: OrderedDict[str, None] = field(default_factory=OrderedDict)


class MachineReader:
    """Follows what one machine writes."""

    def __init__(self, programs: ProgramReader | None, known: Known) -> None:
        self.host: str | None = None
        self.silence = 0  # messages of others since its last
        self._programs = programs
        self._report: OomReport | None = None
        self._idle = 0
        self._foreign = False  # the next Mem-Info is of a failed allocation or of SysRq-m
        self._manual: Message | None = None
        self._slab_refused = False
        self._swap = SwapNotes()
        self._slab_memcg: str | None = None
        self._notes: list[str] = []
        self._victims, self._kill_lines = known.victims, known.kill_lines
        self._quoted: OrderedDict[tuple[int, str], OomReport] = OrderedDict()
        self._found: list[LogFinding] = []

    @property
    def hungry(self) -> bool:
        """Whether lines without any of the anchors still may matter."""
        report = self._report
        return report is not None and not report.ended and self._idle < PATIENCE_LINES

    def feed(self, message: Message) -> list[LogFinding]:
        """Take the next message; give what is complete with it."""
        self._read(message)
        if self._idle > PATIENCE_LINES:
            self._finish()
        if not self._found:
            return []
        found, self._found = self._found, []
        return found

    def close(self) -> list[LogFinding]:
        """Give what is left at the end."""
        self._finish()
        if self._manual is not None:  # asked for; what it did is not in the log
            report = self._start(self._manual)
            self._take_manual(report)
            self._manual = None
            self._finish()
        for who, report in self._quoted.items():
            if who not in self._victims:
                self._found.append(report.finish())
        self._quoted.clear()
        found, self._found = self._found, []
        return found

    def _read(self, message: Message) -> None:
        joined = message.joined()
        if not message.line.from_kernel:
            self._read_program(message, joined)
        elif self._read_anchor(message, joined) or self._read_body(message):
            self._idle = 0
        else:
            self._idle += 1
            self._read_program(message, joined)

    def _read_anchor(self, message: Message, joined: str) -> bool:
        """Read a line that by itself proves a run of the OOM killer, or explains one that follows."""
        if "oom" in joined and self._read_oom_line(message, joined):
            return True
        if "ill" in joined and self._read_kill(message, joined):
            return True
        if "emory" in joined and oom_lines.NO_VICTIM.match(joined):
            self._ending(message, joined, "no victim").no_victim = True
        elif "panic" in joined and (found := oom_lines.PANIC.match(joined)):
            self._read_panic(message, joined, found["why"])
        elif "OOM" in joined and (oom_lines.SYSRQ.match(joined) or oom_lines.SYSRQ_IGNORED.match(joined)):
            self._manual = message if oom_lines.SYSRQ.match(joined) else None
        elif oom_lines.begins_other_report(joined):
            if self._report is None or self._report.ended or self._report.mem_info.complete:
                self._foreign = True
            return False
        else:
            return self._read_circumstance(joined)
        return True

    def _read_circumstance(self, joined: str) -> bool:
        """Read what explains a report that may follow."""
        if oom_lines.SLAB_REFUSED.match(joined):
            self._slab_refused = True
        elif oom_lines.SWAP_NOTE.match(joined):
            self._take_swap(joined)
        elif "cache: " in joined and (found := oom_lines.SLAB_CACHE.match(joined)):
            self._slab_memcg = found["memcg"]
        else:
            return False
        return True

    def _take_swap(self, joined: str) -> None:
        """Keep what the kernel says of swap, mostly at boot, for the reports that come."""
        found = oom_lines.SWAP_NOTE.match(joined)
        device = found["device"] if found else None
        devices = (*self._swap.devices, device) if device and device not in self._swap.devices else self._swap.devices
        self._swap = SwapNotes(
            devices=devices[-16:],
            zswap=self._swap.zswap or joined.startswith("zswap: loaded"),
            zram=self._swap.zram or joined.startswith("zram: Added"),
        )

    def _read_oom_line(self, message: Message, joined: str) -> bool:
        if "oom-killer" in joined and (found := oom_lines.INVOKED.match(joined)):
            self._begin_trigger(message, joined, found["name"], found["more"])
        elif "constraint=" in joined and (found := oom_lines.CONSTRAINT.match(joined)):
            report = self._for_choice(message, taken=lambda report: report.constraint_text is not None)
            report.take_constraint(joined, found)
        elif found := oom_lines.GROUP.match(joined):
            report = self._for_choice(message, taken=lambda _: False, ended_too=True)
            report.oom_group = True
            report.oom_memcg = report.oom_memcg or found["memcg"]
            report.cite("group", joined)
        elif found := oom_lines.REAPED.match(joined) or oom_lines.UNREAPED.match(joined):
            self._read_reaped(message, joined, int(found["pid"]), found["name"])
        elif found := oom_lines.SUPPRESSED.match(joined):
            self._notes.append(f"{found['count']} earlier reports were not printed (rate limit)")
        else:
            return False
        return True

    def _begin_trigger(self, message: Message, joined: str, name: str, more: str) -> None:
        self._finish()
        report = self._start(message)
        name = name.strip()
        report.take_trigger(joined, name if len(name) <= _SHORT_NAME else name.split()[-1][-15:], more)
        self._take_manual(report)
        report.slab_refused, report.slab_memcg = self._slab_refused, self._slab_memcg
        self._slab_memcg = None
        self._slab_refused = False

    def _take_manual(self, report: OomReport) -> None:
        """Somebody asked for it just before."""
        if self._manual is not None:
            report.manual = True
            report.cite("manual", self._manual.text)
            self._manual = None

    def _start(self, message: Message) -> OomReport:
        """Begin a report, after whatever was open."""
        self._finish()
        self._report = OomReport()
        self._report.swap = self._swap if self._swap != SwapNotes() else None
        self._foreign = False
        self._idle = 0
        for note in self._notes:
            self._report.note(note)
        self._notes.clear()
        self._report.touch(message)
        return self._report

    def _for_choice(self, message: Message, taken: object, *, ended_too: bool = False) -> OomReport:
        """The report that a line about its victim belongs to: the open one, unless that has one already."""
        report = self._report
        is_taken = callable(taken) and report is not None and taken(report)
        if report is None or is_taken or (report.ended and not ended_too) or report.is_long_after(message):
            return self._start(message)
        report.touch(message)
        return report

    def _read_kill(self, message: Message, joined: str) -> bool:
        whole = oom_lines.KILLED.match(message.text) or oom_lines.KILLED.match(joined)
        found = whole or oom_lines.KILLED_CUT.match(message.text.rstrip())
        if found is None:
            return self._read_candidate(message, joined)
        if not oom_lines.OWN_HEAD.fullmatch(found["head"].lstrip()):
            return False  # a quote: for _read_program()
        pid, name = int(found["pid"]), found["name"]
        report = self._report
        if report is None or not _takes_kill(report, pid, found["head"]) or report.is_long_after(message):
            if self._is_repeated(message, joined):
                return True
            report = self._start(message)
        self._is_repeated(message, joined)
        report.touch(message)
        report.take_kill(joined, found)
        self._remember(pid, name)
        return True

    def _is_repeated(self, message: Message, joined: str) -> bool:
        """Whether the same line, with the same time, was read before: two loggers, or one that stuttered."""
        line = f"{message.time.text if message.time else ''} {joined}"
        known = line in self._kill_lines and message.time is not None
        _add(self._kill_lines, line, limit=256)
        return known

    def _read_candidate(self, message: Message, joined: str) -> bool:
        found = oom_lines.KILL.match(joined)
        if found is None:
            return self._read_cut_kill(message, joined)
        if not oom_lines.OWN_HEAD.fullmatch(found["head"].lstrip()):
            return False
        report = self._for_choice(message, taken=lambda report: report.candidate_pid is not None)
        report.candidate_pid, report.candidate_name = int(found["pid"]), found["name"]
        report.take_head(found["head"])
        report.cite("candidate", joined)
        return True

    def _read_cut_kill(self, message: Message, joined: str) -> bool:
        found = oom_lines.KILL_CUT.fullmatch(joined.strip())
        if found is None or not message.line.prefixed:  # a sentence that was wrapped there is no log
            return False
        report = self._for_choice(message, taken=lambda report: report.kill_cut)
        report.kill_cut = True
        report.take_head(found["head"])
        report.cite("cut", joined)
        return True

    def _read_reaped(self, message: Message, joined: str, pid: int, name: str) -> None:
        if (pid, name) in self._victims:
            return
        report = self._report
        if report is None or not report.is_event or report.is_long_after(message):
            report = self._start(message)
        report.touch(message)
        report.take_reaped(joined, pid, name)
        self._remember(pid, name)

    def _remember(self, pid: int, name: str) -> None:
        _add(self._victims, (pid, name), limit=_REMEMBERED)

    def _ending(self, message: Message, joined: str, key: str) -> OomReport:
        report = self._for_choice(message, taken=lambda _: False)
        report.cite(key, joined)
        return report

    def _read_panic(self, message: Message, joined: str, why: str) -> None:
        report = self._report
        if why.startswith("Attempted to kill init"):
            if report is None or 1 not in report.victims:
                return
        elif report is None or (report.victims and not (report.said_global and why.startswith("System is deadlocked"))):
            report = self._start(message)
        self._take_manual(report)
        report.touch(message)
        report.panicked = True
        report.cite("panic", joined)

    def _read_body(self, message: Message) -> bool:
        """Read a line of a report's body; without an open report it may be the rest of one whose head is lost."""
        report = self._report
        text = message.text
        if report is not None and not report.ended:
            if not report.take_line(message, foreign=self._foreign):
                if oom_lines.tells_of_loss(text):
                    report.note(text)
                return False
            report.touch(message)
            return True
        if self._foreign or not (_may_begin(text) or ROW_BEFORE_ITS_KILL.fullmatch(text.lstrip())):
            if oom_lines.tells_of_loss(text) and len(self._notes) < 8:
                self._notes.append(text[:200])
            return False
        report = self._start(message)
        if not report.take_line(message, foreign=False):
            self._report = None
            return False
        return True

    def _read_program(self, message: Message, joined: str) -> None:
        """Read a line that the kernel did not write."""
        if oom_lines.tells_of_loss(joined) and self._report is not None:
            self._report.note(joined)
        failed = oom_lines.UNIT_FAILED.match(joined)
        if unit := failed or oom_lines.UNIT_KILLED.match(joined):
            self._found.append(
                UnitNotice(unit=unit["unit"], time=message.time, line=joined[:600], failed=failed is not None)
            )
            return
        said = False
        if self._programs is not None:
            said, found = self._programs.feed(message, joined)
            self._found += found
            self._idle = 0 if said else self._idle
        if not said and "Killed process" in joined:
            self._read_quoted(message, joined)

    def _read_quoted(self, message: Message, joined: str) -> None:
        """Keep a kill that another program tells of; it counts if the kernel's own line is nowhere."""
        found = oom_lines.KILLED.search(joined)
        if found is None or "total-vm" not in joined or len(self._quoted) >= 256:
            return
        if not message.line.prefixed and oom_lines.PROSE.search(oom_lines.OWN_WORDS.sub("", found["head"])):
            return
        who = (int(found["pid"]), found["name"])
        if who not in self._victims and who not in self._quoted:
            report = OomReport()
            report.quoted = True
            report.touch(message)
            report.take_kill(joined, found)
            self._quoted[who] = report

    def _finish(self) -> None:
        if self._report is not None and self._report.is_event:
            self._found.append(self._report.finish())
        self._report = None
        self._idle = 0


def _takes_kill(report: OomReport, pid: int, head: str) -> bool:
    """Whether a victim belongs to the open report."""
    if pid in report.victims or report.oom_group:
        return True
    if report.victims or report.no_victim or report.panicked:
        return False
    # "Out of memory: Killed process" on one line (5.1 and later) names the process that the oom-kill: line chose.
    return not (head and report.chosen_pid is not None and pid != report.chosen_pid)


def _may_begin(text: str) -> bool:
    return text.lstrip().startswith(
        ("Mem-Info:", "Tasks state (memory", "memory: usage ", "memory+swap: usage ", "Task in /", "[ pid ", "[  pid ")
    )


def _add(known: OrderedDict[_Key, None], key: _Key, *, limit: int) -> None:
    known[key] = None
    if len(known) > limit:
        known.popitem(last=False)
