"""What limits a job on this machine: cgroups, backends, userspace killers, ulimits, a container around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.machine_report.model import Finding
from oomguard.text import shell_word
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from oomguard.kernel.model import LogSource
    from oomguard.machine_report.model import CgroupFacts, CgroupLimit, DoctorFacts, KillerFacts, StackFacts

_SIZES = {"Max address space": "-v", "Max data size": "-d", "Max file size": "-f"}  # bytes; with ulimit's option
_FEW_FILES, _FEW_PROCESSES = 256, 256
_EXEMPT = {
    "systemd-oomd": "systemd-run --user --scope -p ManagedOOMPreference=avoid COMMAND",
    "earlyoom": "EARLYOOM_ARGS=\"--avoid '^python'\"  # in /etc/default/earlyoom",
    "nohang": "@BADNESS_ADJ_RE_NAME -200 /// ^python  # in /etc/nohang/nohang.conf",
}


def limit_findings(facts: DoctorFacts) -> list[Finding]:
    """Give a finding for each: cgroup, its limits, enforcement, stacks, kernel log, killers, ulimits, container."""
    return [
        *setting_findings(facts.settings),
        _cgroup(facts.cgroup),
        *_limits(facts),
        *_enforcement(facts),
        _stacks(facts.stacks),
        _log(facts.logs),
        *_killers(facts.killers),
        _ulimits(facts.ulimits),
        *_score(facts.oom_score_adj),
        _inside(facts),
    ]


def _cgroup(cgroup: CgroupFacts) -> Finding:
    if cgroup.layout == "none":
        return Finding(
            topic="cgroup",
            text="no memory controller: nothing here can limit a job exactly",
            fine=False,
            do="sudo mount -t cgroup2 none /sys/fs/cgroup  # unless the kernel was booted with cgroup_disable=memory",
        )
    where = f", this process is in {cgroup.levels[0].name}" if cgroup.levels else ""
    words = {"v1": "version 1", "v2": "version 2", "hybrid": "hybrid: the memory controller is on version 1"}
    return Finding(topic="cgroup", text=f"{words[cgroup.layout]}{where}{', read-only' if cgroup.read_only else ''}")


def _limits(facts: DoctorFacts) -> list[Finding]:
    """One for each cgroup that limits memory below what the machine has, and for the innermost that closes swap."""
    total = facts.memory.total or 1 << 62
    found = [_limit(level) for level in facts.cgroup.levels if (_lowest(level) or total) < total]
    hidden = facts.cgroup.hidden_max
    if hidden is not None and hidden < min([total, *(level.memory_max or total for level in facts.cgroup.levels)]):
        text = f"a cgroup above the visible ones is limited to {format_size(hidden)}"
        found.append(
            Finding(
                topic="limit",
                text=text,
                fine=False,
                do="docker run --memory SIZE ...  # in Kubernetes: resources.limits.memory",
            )
        )
    closed = next((level for level in facts.cgroup.levels if level.swap_max == 0), None)
    if closed is not None:
        found.append(
            Finding(
                topic="limit",
                text=f"cgroup {closed.name} may not swap: what runs here cannot use swap (Docker: --memory-swap)",
                fine=False,
                do="systemd-run --scope -p MemorySwapMax=infinity COMMAND",
            )
        )
    return found or [Finding(topic="limit", text="neither this cgroup nor any above it limits memory")]


def _limit(level: CgroupLimit) -> Finding:
    lowest = _lowest(level) or 0
    soft = " (memory.high: throttled above it)" if level.memory_high == lowest else ""
    left = f", {format_size(max(0, lowest - level.unreclaimable))} left" if level.unreclaimable is not None else ""
    unit = level.name.rpartition("/")[2]
    is_unit = unit.endswith((".service", ".scope", ".slice"))
    do = f"sudo systemctl set-property {shell_word(unit)} MemoryMax=SIZE" if is_unit else "docker run --memory SIZE ..."
    text = f"cgroup {level.name} is limited to {format_size(lowest)}{soft}{left}"
    return Finding(topic="limit", text=text, fine=False, do=do)


def _lowest(level: CgroupLimit) -> int | None:
    return min((limit for limit in (level.memory_max, level.memory_high) if limit is not None), default=None)


def _enforcement(facts: DoctorFacts) -> list[Finding]:
    """How a budget would be enforced, then each better backend with what it needs."""
    enforcement = facts.enforcement
    if enforcement is None:
        return []
    text = f"oomguard run would enforce a budget by {enforcement.way}"
    if enforcement.cannot:
        text = f"{text}: {enforcement.cannot}"
    better = [
        Finding(topic="run", text=f"{each.way} cannot be used: {each.why}", fine=False, do=each.do)
        for each in enforcement.better
    ]
    return [Finding(topic="run", text=text, fine=not enforcement.cannot), *better]


def _stacks(stacks: StackFacts) -> Finding:
    if not stacks.readers:
        return Finding(
            topic="stacks",
            text="pystack is not installed: it shows full stacks with arguments when a Python job reaches its budget; "
            "without it only the line is shown",
            fine=False,
            do="pip install 'oomguard[stack]'",
        )
    text = f"{' and '.join(stacks.readers)} can read the stacks of Python jobs"
    if stacks.may_trace_all or stacks.ptrace_scope in (None, 0):
        return Finding(topic="stacks", text=text)
    if stacks.ptrace_scope == 1:
        return Finding(topic="stacks", text=f"{text} started by oomguard (kernel.yama.ptrace_scope is 1)")
    if stacks.ptrace_scope == 2:
        text = "only root may read another process's stack (kernel.yama.ptrace_scope is 2)"
        return Finding(topic="stacks", text=text, fine=False, do="sudo sysctl kernel.yama.ptrace_scope=1")
    text = "no process may read another's stack until the next boot (kernel.yama.ptrace_scope is 3)"
    return Finding(
        topic="stacks",
        text=text,
        fine=False,
        do="echo kernel.yama.ptrace_scope=1 | sudo tee /etc/sysctl.d/10-ptrace.conf  # then reboot",
    )


def _log(logs: tuple[LogSource, ...]) -> Finding:
    of_kernel = [log for log in logs if log.name in ("kmsg", "journal")] or list(logs)
    readable = [log.what for log in of_kernel if log.unread is None]
    if readable:
        return Finding(topic="kernel log", text=f"readable: {', '.join(readable)}")
    if not of_kernel:
        text = "not available here: kills can only be counted"
        return Finding(topic="kernel log", text=text, fine=False, do="oomguard diagnose  # on the host")
    first = of_kernel[0]
    text = f"{first.what}: {first.unread}; kills can only be counted"
    return Finding(topic="kernel log", text=text, fine=False, do=first.do)


def _killers(killers: tuple[KillerFacts, ...]) -> list[Finding]:
    found = [
        Finding(
            topic=killer.name, text=f"kills processes before the kernel does, {killer.acts}", fine=False,
            do=_EXEMPT.get(killer.name),
        )
        for killer in killers
    ]  # fmt: skip
    return found or [Finding(topic="killers", text="no userspace OOM killer is running")]


def _ulimits(limits: dict[str, int | None]) -> Finding:
    bites = [
        f"{name.removeprefix('Max ')} {format_size(size)} (ulimit {option})"
        for name, option in _SIZES.items()
        if (size := limits.get(name)) is not None
    ]
    files, processes = limits.get("Max open files"), limits.get("Max processes")
    cpu = limits.get("Max cpu time")
    bites += [f"open files {files} (ulimit -n)"] if files is not None and files < _FEW_FILES else []
    bites += [f"processes {processes} (ulimit -u)"] if processes is not None and processes < _FEW_PROCESSES else []
    bites += [f"CPU time {cpu} s (ulimit -t)"] if cpu is not None else []
    if not bites:
        return Finding(topic="ulimits", text="none that a big job would reach")
    option = bites[0].rpartition("ulimit ")[2].rstrip(")")
    return Finding(topic="ulimits", text="; ".join(bites), fine=False, do=f"ulimit {option} unlimited")


def _score(oom_score_adj: int | None) -> list[Finding]:
    if not oom_score_adj:
        return []
    whom = "sooner than" if oom_score_adj > 0 else "later than"
    text = f"{oom_score_adj}: what is started here is killed {whom} other processes of its size"
    do = "sudo choom -n 0 -- COMMAND" if oom_score_adj > 0 else None
    return [Finding(topic="oom score", text=text, fine=oom_score_adj < 0, do=do)]


def _inside(facts: DoctorFacts) -> Finding:
    if facts.wsl:
        text = "Windows (WSL): .wslconfig limits its memory, by default to half of the machine's"
        return Finding(
            topic="inside",
            text=text,
            fine=False,
            do="notepad.exe %UserProfile%\\.wslconfig  # [wsl2] memory=SIZE; then: wsl --shutdown",
        )
    if facts.scheduler is not None:
        job = facts.scheduler.rpartition(" ")[2]
        do = f"scontrol show job {job}" if facts.scheduler.startswith("Slurm") else None
        return Finding(topic="inside", text=f"{facts.scheduler}, which has its own limit", fine=False, do=do)
    if facts.container is not None:
        return Finding(topic="inside", text=f"a container ({facts.container}): its limits are set from outside")
    return Finding(topic="inside", text="not in a container or a batch job")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelSetting:
    """One setting. Source: Linux Documentation/admin-guide/sysctl/vm.rst."""

    topic: str
    file: str  # below /
    costs: Callable[[int], str | None]  # in words; None: nothing, and there is no line
    do: str


SETTINGS = (
    KernelSetting(
        topic="swappiness",
        file="proc/sys/vm/swappiness",
        costs=lambda value: "vm.swappiness is 0: programs are killed while swap is free" if value == 0 else None,
        do="sudo sysctl vm.swappiness=60",
    ),
    KernelSetting(
        topic="panic",
        file="proc/sys/vm/panic_on_oom",
        costs=lambda value: "vm.panic_on_oom is set: the machine stops, and no process is killed" if value else None,
        do="sudo sysctl vm.panic_on_oom=0",
    ),
    KernelSetting(
        topic="victim",
        file="proc/sys/vm/oom_kill_allocating_task",
        costs=lambda value: (
            "vm.oom_kill_allocating_task is set: the process that asks for memory is killed, not the one that holds "
            "the most"
            if value
            else None
        ),
        do="sudo sysctl vm.oom_kill_allocating_task=0",
    ),
)


def setting_findings(settings: Mapping[str, int]) -> list[Finding]:
    """Judge what was read, by file; a file that is not there is no finding."""
    findings = []
    for setting in SETTINGS:
        text = setting.costs(settings[setting.file]) if setting.file in settings else None
        if text is not None:
            findings.append(Finding(topic=setting.topic, text=text, fine=False, do=setting.do))
    return findings
