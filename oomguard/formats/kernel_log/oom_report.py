"""One report of the OOM killer, put together line by line. Every part of it is optional."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from oomguard.formats.kernel_log import oom_lines
from oomguard.formats.kernel_log.constraint import infer_constraint, infer_page_size
from oomguard.formats.kernel_log.mem_info import MemcgReader, MemInfoReader, kib, number, page_tables
from oomguard.formats.kernel_log.records import LogTime, OomEvent, Outcome, SwapNotes, Victim
from oomguard.formats.kernel_log.task_table import TaskTableReader

if TYPE_CHECKING:
    import re

    from oomguard.formats.kernel_log.log_lines import Message

_MOST_VICTIMS = 4096
_MOST_FRAMES = 48
_MOST_NOTES = 8
_NAME = 15  # characters that the kernel keeps of one
_QUOTED_CHARACTERS = 600
_LONG_SILENCE_SECONDS = 60.0  # a slow console takes a minute for a long table, but not between two lines


class OomReport:
    """Collects what belongs to one run of the OOM killer."""

    def __init__(self) -> None:
        self.time: LogTime | None = None
        self.last_seconds: float | None = None
        self.trigger_name: str | None = None
        self.trigger_pid: int | None = None
        self.gfp_mask: int | None = None
        self.gfp_flags: str | None = None
        self.order: int | None = None
        self.nodemask: str | None = None
        self.mems_allowed: str | None = None
        self.manual = False
        self.triggered = False
        self.constraint_text: str | None = None
        self.chosen_pid: int | None = None  # by the oom-kill: line
        self.chosen_uid: int | None = None
        self.chosen_name: str | None = None
        self.half_chosen: str | None = None  # its name, where the line breaks off in the number
        self.candidate_name: str | None = None
        self.allocating_task = False
        self.swap: SwapNotes | None = None
        self.candidate_pid: int | None = None  # by "Kill process": a child may be killed instead
        self.said_memcg = self.said_global = False
        self.oom_memcg: str | None = None
        self.task_memcg: str | None = None
        self.victims: dict[int, Victim] = {}
        self.oom_group = self.no_victim = self.panicked = self.slab_refused = self.quoted = False
        self.kill_cut = False  # its last line breaks off before it says whom
        self.slab_memcg: str | None = None
        self.memcg = MemcgReader()
        self.mem_info = MemInfoReader()
        self.tasks = TaskTableReader()
        self.trace: list[str] = []
        self.kernel: str | None = None
        self.hardware: str | None = None
        self.tainted: str | None = None
        self.allocations: dict[str, int] = {}
        self.notes: list[str] = []
        self.evidence: dict[str, str] = {}

    @property
    def is_event(self) -> bool:
        """Whether a line was seen that only the OOM killer writes."""
        return bool(
            self.triggered or self.constraint_text or self.victims or self.no_victim or self.panicked
            or self.candidate_pid is not None or self.kill_cut or self.oom_group or self.manual
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether the report's last line was seen."""
        return bool(self.victims or self.no_victim or self.panicked)

    def touch(self, message: Message) -> None:
        """Note that a line belongs here."""
        if self.time is None:
            self.time = message.time
        if message.time is not None:
            self.last_seconds = _seconds(message.time) or self.last_seconds

    def is_long_after(self, message: Message) -> bool:
        """Whether the line was written so much later that it belongs to something else."""
        seconds = _seconds(message.time) if message.time else None
        return (
            seconds is not None
            and self.last_seconds is not None
            and seconds - self.last_seconds > _LONG_SILENCE_SECONDS
        )

    def note(self, text: str) -> None:
        """Keep word of damage to the log."""
        if len(self.notes) < _MOST_NOTES and text not in self.notes:
            self.notes.append(text[:200])

    def cite(self, key: str, line: str) -> None:
        """Keep a line as evidence."""
        self.evidence.setdefault(key, line.strip()[:_QUOTED_CHARACTERS])

    def take_trigger(self, joined: str, name: str, more: str) -> None:
        """Read "NAME invoked oom-killer: gfp_mask=..., order=..."."""
        self.triggered = True
        self.trigger_name = name
        self.cite("trigger", joined)
        if mask := oom_lines.GFP_MASK.search(more):
            self.gfp_mask, self.gfp_flags = int(mask["mask"], 16), mask["flags"] or None
        if order := oom_lines.ORDER.search(more):
            self.order = int(order["order"])
            self.manual = self.manual or self.order == -1
        if nodes := oom_lines.NODEMASK.search(more):
            self.nodemask = None if nodes["nodes"] == "(null)" else nodes["nodes"]

    def take_constraint(self, joined: str, found: re.Match[str]) -> None:
        """Read the oom-kill: line; of a torn one as much as is left."""
        self.constraint_text = found["constraint"]
        self.cite("constraint", joined)
        more = found["more"]
        if memcgs := oom_lines.MEMCGS.search(more):
            self.oom_memcg, self.task_memcg = memcgs["oom"], memcgs["task"]
        if of_task := oom_lines.TASK_MEMCG.search(more):
            self.task_memcg = of_task["task"].rpartition(",task_memcg=")[2]
        self.said_global = self.said_global or ",global_oom" in more
        if nodes := oom_lines.MEMS.search(more):
            self.mems_allowed = nodes["nodes"]
        if (nodes := oom_lines.NODEMASK.search(more)) and nodes["nodes"] != "(null)":
            self.nodemask = nodes["nodes"]
        tasks = list(oom_lines.TASK.finditer(more))
        if tasks and tasks[-1]["rest"]:  # without ",uid=" the pid may be cut in two
            self.chosen_pid, self.chosen_uid = int(tasks[-1]["pid"]), int(tasks[-1]["uid"])
            self.chosen_name = tasks[-1]["name"]
        elif tasks:
            self.half_chosen = tasks[-1]["name"]

    def take_head(self, head: str) -> None:
        """Read who ran out, from the words before "Killed process"."""
        self.allocating_task = self.allocating_task or "oom_kill_allocating_task" in head
        if "emory cgroup out of" in head:
            self.said_memcg = True
        elif "ut of" in head:
            self.said_global = True

    def take_kill(self, joined: str, found: re.Match[str]) -> None:
        """Read a victim. The kernel names the first of a group twice."""
        pid = int(found["pid"])
        self.take_head(found["head"])
        self.cite("kill", joined)
        more = joined[found.end() :]
        uid = oom_lines.UID.search(more)
        adj = oom_lines.SCORE_ADJ.search(more)
        sizes = {
            key: kib(size[1]) if (size := pattern.search(more)) else None for key, pattern in oom_lines.SIZES.items()
        }
        victim = Victim(
            pid=pid,
            name=self._whole_name(pid, found["name"]) if found.re is oom_lines.KILLED_CUT else found["name"],
            uid=number(found["uid"]) if found["uid"] else int(uid["uid"]) if uid else None,
            total_vm=sizes["total_vm"],
            anon_rss=sizes["anon_rss"],
            file_rss=sizes["file_rss"],
            shmem_rss=sizes["shmem_rss"],
            pgtables=page_tables(sizes["pgtables"], sizes["total_vm"]),
            oom_score_adj=int(adj["adj"]) if adj else None,
        )
        if len(self.victims) < _MOST_VICTIMS and (pid not in self.victims or self.victims[pid].reaped_only):
            self.victims[pid] = victim

    def _whole_name(self, pid: int, cut: str) -> str:
        """A name that breaks off, as another line of the report has it; else with dots."""
        row = self.tasks.row_of(pid)
        known = [self.chosen_name if pid == self.chosen_pid else None, row.name if row else None]
        return next(
            (name for name in known if name and name.startswith(cut)), cut if len(cut) == _NAME else f"{cut}..."
        )

    def take_reaped(self, joined: str, pid: int, name: str) -> None:
        """Read a victim that only the reaper tells of."""
        if len(self.victims) < _MOST_VICTIMS and pid not in self.victims:
            self.cite("kill", joined)
            self.victims[pid] = Victim(pid=pid, name=name, reaped_only=True)

    def take_line(self, message: Message, *, foreign: bool) -> bool:
        """Read one line of the report's body. `foreign`: a Mem-Info that follows is another report's."""
        text, joined = message.text, message.joined()
        if self.tasks.take_header(joined) or self.tasks.take_row(text, joined):
            return True
        if self.memcg.take(text, joined):
            if "limit " in joined:
                self.cite("limit", joined)
            return True
        if not foreign and not self.mem_info.complete and self.mem_info.take(text, joined):
            return True
        if self.mem_info.complete and not foreign and self.mem_info.take(text, joined):
            return True
        return self._take_circumstance(text, joined)

    def _take_circumstance(self, text: str, joined: str) -> bool:
        if (found := oom_lines.CPU.match(joined.lstrip())) and self.triggered:
            if self.trigger_pid is None and found["name"].strip() == self.trigger_name:
                self.trigger_pid = int(found["pid"] or found["old"])
                self.kernel = found["kernel"]
                self.tainted = found["taint"].partition("Tainted: ")[2].strip() or None
            return True
        if found := oom_lines.HARDWARE.match(joined.lstrip()):
            self.hardware = self.hardware or found["name"].strip()
        elif (found := oom_lines.CPUSET.match(joined)) and self.triggered:
            self.mems_allowed = found["nodes"]
        elif found := oom_lines.ALLOCATION.match(text):
            self._add_allocation(found[3], float(found[1]), found[2] or "B")
        elif found := oom_lines.SLAB_ROW.fullmatch(text):
            self._add_allocation(f"slab {found[1]}", float(found[3]), "KiB")
        elif self.triggered and not self.mem_info.begun and (found := oom_lines.FRAME.match(text)):
            if len(self.trace) < _MOST_FRAMES and not found["unsure"]:
                self.trace.append(found["name"])
        else:
            return False
        return True

    def _add_allocation(self, name: str, count: float, unit: str) -> None:
        power = {"B": 0, "K": 1, "M": 2, "G": 3, "T": 4}[unit[0]]
        self.allocations[name] = int(count * 1024**power)
        if len(self.allocations) > 64:  # the slab table is in no order
            del self.allocations[min(self.allocations, key=self.allocations.__getitem__)]

    def finish(self) -> OomEvent:
        """Give the report as it is."""
        page_size, page_from = infer_page_size(self.mem_info, self.tasks, self.victims.values())
        mem_info, memcg = self.mem_info.finish(), self.memcg.finish()
        table_seen = self.tasks.columns is not None or self.tasks.rows
        whole_but_no_table = self.triggered and self.victims and (self.mem_info.complete or self.memcg.has_usage)
        oom_memcg = self._unbroken(self.oom_memcg) or self.memcg.limit_memcg or self.memcg.stats_of
        self.oom_memcg = oom_memcg if self.oom_memcg else None
        allocations = sorted(self.allocations.items(), key=lambda item: -item[1])[:8]
        return OomEvent(
            time=self.time,
            constraint=infer_constraint(self, mem_info),
            constraint_text=self.constraint_text,
            manual=self.manual,
            trigger_name=self.trigger_name,
            trigger_pid=self.trigger_pid,
            gfp_mask=self.gfp_mask,
            gfp_flags=self.gfp_flags,
            order=self.order,
            nodemask=self.nodemask,
            mems_allowed=self.mems_allowed,
            victims=tuple(self._completed(victim, page_size or 4096) for victim in self.victims.values()),
            chosen=self._chosen(),
            half_chosen=None if self.victims or self.no_victim else self.half_chosen,
            oom_memcg=oom_memcg,
            task_memcg=self._unbroken(self.task_memcg) or self.memcg.task_memcg,
            memcg=memcg,
            mem_info=mem_info,
            page_size=page_size,
            page_size_from=page_from,
            tasks=self.tasks.finish(page_size) if table_seen or whole_but_no_table else None,
            outcome=self._outcome(),
            oom_group=self.oom_group,
            trace=tuple(self.trace),
            kernel=self.kernel,
            hardware=self.hardware,
            tainted=self.tainted,
            top_allocations=tuple(allocations),
            notes=tuple(self.notes),
            missing=tuple(self._missing(in_memcg=bool(oom_memcg) or self.said_memcg)),
            evidence=dict(self.evidence),
            quoted=self.quoted,
            panicked=self.panicked,
            allocating_task=self.allocating_task,
            swap=self.swap,
            slab_refused=self.slab_refused,
            slab_memcg=self.slab_memcg,
        )

    def _chosen(self) -> Victim | None:
        """Whom the kernel chose, where the line that it was killed is lost. A child may have died in its place."""
        if self.victims or self.no_victim:
            return None
        if self.chosen_pid is not None and self.chosen_name:
            return Victim(pid=self.chosen_pid, name=self.chosen_name, uid=self.chosen_uid)
        if self.candidate_pid is not None and self.candidate_name:
            return Victim(pid=self.candidate_pid, name=self.candidate_name)
        return None

    def _unbroken(self, path: str | None) -> str | None:
        """A path without the blank where a mail program broke it, if another line has it whole."""
        if path is None or " " not in path:
            return path
        joined = path.replace(" ", "")
        whole = [self.memcg.limit_memcg, self.memcg.stats_of, self.memcg.task_memcg, self.oom_memcg, self.task_memcg]
        return joined if any(each and (each == joined or each.startswith(f"{joined}/")) for each in whole) else path

    def _outcome(self) -> Outcome:
        if self.no_victim:
            return "no_victim"
        if self.panicked:
            return "panic"
        return "killed" if self.victims else "unknown"

    def _completed(self, victim: Victim, page: int) -> Victim:
        """Add what the table and the oom-kill: line know of a victim."""
        row = self.tasks.row_of(victim.pid)
        uid = victim.uid
        if uid is None:
            uid = self.chosen_uid if victim.pid == self.chosen_pid else row.uid if row else None
        return dataclasses.replace(
            victim,
            uid=uid,
            oom_score_adj=row.oom_score_adj if victim.oom_score_adj is None and row else victim.oom_score_adj,
            swap=row.swap * page if row and row.swap is not None else None,
        )

    def _missing(self, *, in_memcg: bool) -> list[str]:
        parts = {
            "trigger": self.triggered,
            "memory counters": in_memcg or self.mem_info.complete,
            "memory: usage": not in_memcg or self.memcg.has_usage,
            "process table": self.tasks.rows,
            "victim": self.ended,
        }
        return [part for part, seen in parts.items() if not seen]


def _seconds(time: LogTime) -> float | None:
    return time.monotonic if time.monotonic is not None else time.epoch
