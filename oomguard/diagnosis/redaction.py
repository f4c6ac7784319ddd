"""`diagnose --redact`: what names people, machines and their files is replaced before anything is concluded from it.

Each name gets a label, and the same name the same label wherever it is met, so that what belongs together still does.
Of lines of a log only words stay that the kernel or a killer writes, numbers, and the names of processes; whatever
else is in them is taken for a name. Ids of containers and pods become other ids of the same shape, so that what is said
about their cgroups is the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from oomguard.formats.kernel_log import Notice, OomEvent, OtherKill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from oomguard.diagnosis.filter import Asked, KillFilter
    from oomguard.diagnosis.kill_search import FoundKills
    from oomguard.formats.cgroup import OomCounters
    from oomguard.formats.kernel_log import UnitNotice
    from oomguard.formats.kernel_log.records import TaskTable, Victim
    from oomguard.kernel.model import LogSource

_FIRST_USER = 1_000_001  # numbers of users, but for root's, are given anew from here on
_KERNEL_WORDS = """
a above actual adding after all allocation allowed and anon anon-rss are as asked at be because been being below by
candidate cannot cgroup child chosen compulsory constraint_cpuset constraint_memcg constraint_memory_policy
constraint_none constraint constrained cpuset current deadlocked dead died do due enabled encountered error event
exceeded exceeds exit exited failcnt failed file file-rss for free from global_oom going group had has have hi-water
high in info invoked is it kernel kill killable killed killer killing kmem limit limits low manual mask mem memcg
memory memory+swap mems mems_allowed message messages my no no_victim node nodemask none not now null of on only oom
oom-kill oom-killer oom_adj oom_kill oom_kill_allocating_task oom_memcg oom_reaper oom_score oom_score_adj oomkilladj
or order out over page pages panic panic_on_oom pgtables pid policy printk process processes read reaped ready
request requests resource restarting result running sacrifice score set shmem shmem-rss sigkill sigterm signal some
starting state step stopped suppressed swap swapents syncing sysrq system systemd task task_memcg tasks tgid that the
then there they this to total total-vm total_vm uid unit unreclaimable usage used values victim vm vmrss was were
which will with within would gfp_mask hardware dropped callbacks now: rss: ppid name mib kib gib kb mb gb b bytes
batch extern interactive
avg10 avg60 avg300 avg pressure threshold warning critical percent last first trying killing. worker workers node ip
actors objects reasons crashed capacity container service scope slice reason memavailable swapfree badness min_mem
"""
_WORD = re.compile(r"[a-z][a-z_+-]{1,40}")
_NUMBER = re.compile(
    r"[+-]?[0-9]{1,18}(?:[.,][0-9]{1,12})?(?:[kKMGTP]i?[Bb]?|B|bytes|pages|s|ms|us|sec|min|h|d|%)?|0x[0-9a-f]{1,16}"
)
_FLAGS = re.compile(r"(?:_*GFP_[A-Z_]{2,40}|CONSTRAINT_[A-Z_]{2,20}|[A-Z]{2,4}[0-9]?KILL)")
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}")
# A command line is one name, to its quote or the end; the number of a user follows a word; all else is word by word.
_PIECES = re.compile(
    r"(?P<command>(?i:\b(?:cmdline|cmd|command(?: being timed)?|args|argv|exe|entrypoint)\b\W{1,4})(?P<line>\S.*))"
    r"|(?P<who>\b(?:[Uu]id|UID|user|auid|euid|gid|GID)\b[:=\s(]{1,3})(?P<uid>[0-9]{1,10})\b"
    r"|(?P<shell>\b(?:Killed|Terminated|OOM)\s{3,})(?P<job>[^\s:].*)"
    r"|(?P<chunk>[^\s\"'`()\[\]{},;<>|=]+)"
)
_KERNEL_THREAD = re.compile(
    r"(?:kworker|ksoftirqd|migration|swapper|cpuhp|idle_inject|irq|rcuop|rcuog|rcuos)/[\w:.-]{0,12}"
)
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])|(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_UUID = re.compile(r"[0-9a-f]{8}([_-])[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}")
_OF_USER = re.compile(r"(user-|user@|uid_)([0-9]{1,10})(\.slice|\.service|)")
# Parts of cgroups that are the same everywhere.
_EVERYWHERE = re.compile(
    r"(?:system|user|machine|app|session|background|init|kubepods|kubepods-besteffort|kubepods-burstable|kubelet"
    r"|kubelet-kubepods|kubelet-kubepods-burstable|kubelet-kubepods-besteffort|docker|podman|libpod|lxc|qemu)"
    r"(?:\.(?:slice|scope|service))?|besteffort|burstable|container|payload|slurm|kubepods|docker|lxc\.payload|garden"
    r"|job_[0-9]{1,12}|step_(?:[0-9]{1,9}|batch|extern|interactive)|task_[0-9]{1,9}|user|slurmstepd\.scope|system_slurmstepd"
    r"|oomguard-[0-9-]{1,24}|job\.[0-9.]{1,24}|pbs(?:pro)?-[0-9]{1,12}\.slice"
    r"|(?:docker|cri-containerd|crio|libpod|nerdctl)-ID(?:\.scope)?(?:/container)?|ID(?:\.scope)?"
    r"|(?:kubelet-)?(?:kubepods-)?(?:besteffort-|burstable-)?podID(?:\.slice)?"
)
_NUMBERED = re.compile(r"(session-c?|)([0-9]{1,9})\.scope")  # a login, a virtual machine
_SUFFIX = re.compile(r"\.(?:service|scope|slice|py|ipynb|sh|log|txt|gz|xz|bz2|zst|zip|jsonl|parquet)$")
_SYSTEM_PATH = re.compile(r"/|/dev/(?:kmsg|shm|zram[0-9]{1,3})|/proc/(?:meminfo|sys/vm/\w+)")
_KERNEL_VERSION = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,5}){1,3}")
_NAMES = ("container", "pod", "namespace", "unit", "service", "function", "app", "node", "host", "image", "name")


@cache
def _known_words() -> frozenset[str]:
    """What the kernel and the killers of the table write by themselves."""
    from oomguard.diagnosis.killers import BY_IDENT

    words = set(_KERNEL_WORDS.split())
    for killer in BY_IDENT.values():
        for wording in killer.wordings:
            text = re.sub(r"\(\?P<\w+>|\\[a-zA-Z]", " ", wording.pattern.pattern)
            words |= {word.strip("+-") for word in _WORD.findall(text.lower())}
        words |= {killer.ident, *killer.identifiers, *filter(None, (killer.comm,))}
    return frozenset(words)


@dataclass(slots=True)
class Redactor:
    """Gives labels. `taken` are words that stand in what is redacted: none of them becomes a label."""

    taken: frozenset[str] = frozenset()
    _labels: dict[str, str] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _processes: set[str] = field(default_factory=set)
    _users: dict[int, int] = field(default_factory=dict)

    def label(self, kind: str, text: str, *, form: str = "{kind}-{number}") -> str:
        """The label of a name: the one it has, of whatever kind, or a new one."""
        while text not in self._labels:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            made = form.format(kind=kind, number=self._counts[kind])
            if made not in self.taken:
                self._labels[text] = made
        return self._labels[text]

    def user(self, uid: int) -> int:
        """A user's number."""
        return 0 if uid == 0 else self._users.setdefault(uid, _FIRST_USER + len(self._users))

    def process(self, name: str) -> str:
        """The name of a process, which stays: it is what died. One that is a path or an address does not."""
        if name in self._labels:
            return self._labels[name]
        if ("/" in name or "@" in name) and not _KERNEL_THREAD.fullmatch(name):
            return self.line(name)
        self._processes.add(name)
        return name

    def path(self, path: str) -> str:
        """A path, whatever its parts are; what kind of file it is may matter."""
        if _SYSTEM_PATH.fullmatch(path):
            return path
        suffix = _SUFFIX.search(path)
        return self.label("path", path, form="/{kind}-{number}") + (suffix[0] if suffix else "")

    def cgroup(self, path: str) -> str:
        """A cgroup, part by part: those that are the same everywhere stay, and ids keep their shape."""
        return "/".join(self._part(part) if part else "" for part in path.split("/"))

    def unit(self, name: str) -> str:
        """What systemd calls a service, a scope, a slice."""
        return self._part(name)

    def line(self, text: str) -> str:
        """A line of a log, or a part of one."""
        return _PIECES.sub(self._piece, text)

    def _part(self, part: str) -> str:
        of_user = _OF_USER.fullmatch(part)
        if of_user:
            return f"{of_user[1]}{self.user(int(of_user[2]))}{of_user[3]}"
        numbered = _NUMBERED.fullmatch(part)
        if numbered:
            return f"{numbered[1]}{self.label(f'number {numbered[1]}', numbered[0], form='{number}')}.scope"
        if _EVERYWHERE.fullmatch(_UUID.sub("ID", _ID.sub("ID", part))):
            return _UUID.sub(self._uuid, _ID.sub(self._id, part))
        suffix = _SUFFIX.search(part)
        return self.label("name", part) + (suffix[0] if suffix else "")

    def _id(self, found: re.Match[str]) -> str:
        return self.label("id", found[0], form="c{number:05d}").ljust(len(found[0]), "0")

    def _uuid(self, found: re.Match[str]) -> str:
        """A pod's id is written with dashes, and with underlines in the name of a slice."""
        made = self.label("uuid", found[0].replace("_", "-"), form="c{number:07d}-0000-0000-0000-000000000000")
        return made.replace("-", found[1])

    def _piece(self, found: re.Match[str]) -> str:
        if found["command"]:
            return found["command"][: found.start("line") - found.start()] + self.command(found["line"])
        if found["uid"]:
            return f"{found['who']}{self.user(int(found['uid']))}"
        if found["shell"]:
            return f"{found['shell']}{self.command(found['job'])}"
        return self._chunk(found["chunk"])

    def command(self, line: str) -> str:
        """A command line: a name with its arguments."""
        return self.label("command", line.strip("\"' "))

    def _chunk(self, chunk: str) -> str:
        core = chunk.strip(":.!?*-+") or chunk
        return chunk if core == chunk and not any(map(str.isalnum, core)) else chunk.replace(core, self._core(core), 1)

    def _core(self, core: str) -> str:
        if core in self._labels:
            return self._labels[core]
        is_id = _ID.fullmatch(core)
        if is_id:
            return self._id(is_id)
        if _IPV4.fullmatch(core):
            return self.label("host", core)
        if self._stays(core):
            return core
        if ":" in core and "/" not in core:
            return ":".join(self._core(part) if part else "" for part in core.split(":"))
        return self._name(core)

    def _name(self, core: str) -> str:
        if core.startswith("/"):
            return self.cgroup(core) if _is_cgroup(core) else self.path(core)
        if "/" in core:
            return core if all(map(self._stays, core.split("/"))) else self.label("path", core)
        return self.label("name" if _SUFFIX.search(core) else "word", core)

    def _stays(self, core: str) -> bool:
        known = core in self._processes or core.lower() in _known_words()
        return known or bool(_NUMBER.fullmatch(core) or _FLAGS.fullmatch(core) or _KERNEL_THREAD.fullmatch(core))


def _is_cgroup(path: str) -> bool:
    return bool(re.search(r"\.(?:slice|scope|service)\b|/(?:docker|kubepods|slurm|lxc|libpod)", path))


def redact(found: FoundKills, counters: OomCounters | None) -> tuple[FoundKills, OomCounters | None, Redactor]:
    """Give what was found with labels for names, and who gave them. Raises: nothing."""
    redactor = Redactor(frozenset(_words_of([*found.kills, *found.units, *found.notices, *found.sources])))
    for finding in (*found.kills, *found.notices):  # first what is known to be a name: lines tell of the same
        _learn(redactor, finding)
    kills = [_event(redactor, k) if isinstance(k, OomEvent) else _told(redactor, k) for k in found.kills]
    made = replace(
        found,
        kills=type(found.kills)(kills, maxlen=found.kills.maxlen),
        units=type(found.units)((_unit(redactor, unit) for unit in found.units), maxlen=found.units.maxlen),
        notices=type(found.notices)((_told(redactor, each) for each in found.notices), maxlen=found.notices.maxlen),
        sources=[_source(redactor, source) for source in found.sources],
    )
    if counters is not None:
        memcgs = tuple(replace(memcg, name=redactor.cgroup(memcg.name)) for memcg in counters.memcgs)
        counters = replace(counters, memcgs=memcgs)
    return made, counters, redactor


def redact_all(
    found: FoundKills, asked: Asked, counters: OomCounters | None, kill_filter: KillFilter
) -> tuple[FoundKills, Asked, OomCounters | None]:
    """Give all that a diagnosis is concluded from with labels for names. Raises: nothing."""
    redacted, counters, redactor = redact(found, counters)
    return redacted, redact_asked(redactor, asked, kill_filter), counters


def redact_asked(redactor: Redactor, asked: Asked, kill_filter: KillFilter) -> Asked:
    """What the user asked for: the names of a script and its input, and the script's text, are told no more."""
    script = kill_filter.script and redactor.path(kill_filter.script)
    name = kill_filter.name and redactor.process(kill_filter.name)
    told = asked.filter and str(replace(kill_filter, script=script, name=name))
    suspect = asked.script
    if suspect is not None:
        given = suspect.input_file and redactor.path(suspect.input_file)
        suspect = replace(suspect, path=redactor.path(suspect.path), input_file=given, code="")
    return replace(asked, filter=told, script=suspect)


def _learn(redactor: Redactor, finding: OomEvent | OtherKill | Notice) -> None:
    if isinstance(finding, OtherKill | Notice):
        for key, value in finding.facts.items():
            if key in _NAMES and not _ID.fullmatch(value):
                redactor.label("host" if key == "node" else key, value)
        if finding.name:
            _name_told(redactor, finding)
        return
    for victim in (*finding.victims, *([finding.chosen] if finding.chosen else [])):
        redactor.process(victim.name)
    for name in (finding.trigger_name, finding.half_chosen):
        if name:
            redactor.process(name)


def _event(redactor: Redactor, event: OomEvent) -> OomEvent:
    memcg = redactor.cgroup
    kernel = event.kernel and _KERNEL_VERSION.match(event.kernel)
    swap = event.swap and replace(event.swap, devices=tuple(map(redactor.path, event.swap.devices)))
    return replace(
        event,
        trigger_name=event.trigger_name and redactor.process(event.trigger_name),
        victims=tuple(_victim(redactor, victim) for victim in event.victims),
        chosen=event.chosen and _victim(redactor, event.chosen),
        half_chosen=event.half_chosen and redactor.process(event.half_chosen),
        oom_memcg=event.oom_memcg and memcg(event.oom_memcg),
        task_memcg=event.task_memcg and memcg(event.task_memcg),
        slab_memcg=event.slab_memcg and redactor.unit(event.slab_memcg),
        tasks=event.tasks and _tasks(redactor, event.tasks),
        notes=tuple(map(redactor.line, event.notes)),
        evidence=_values(event.evidence, redactor.line),
        top_allocations=tuple(
            (redactor.line(name) if "/" in name else name, size) for name, size in event.top_allocations
        ),
        kernel=kernel[0] if kernel else None,
        hardware=None,
        trace=(),
        swap=swap,
    )


def _victim(redactor: Redactor, victim: Victim) -> Victim:
    uid = None if victim.uid is None else redactor.user(victim.uid)
    return replace(victim, name=redactor.process(victim.name), uid=uid)


def _tasks(redactor: Redactor, tasks: TaskTable) -> TaskTable:
    rows = tuple(replace(row, name=redactor.process(row.name), uid=redactor.user(row.uid)) for row in tasks.largest)
    groups = tuple(replace(group, name=redactor.process(group.name)) for group in tasks.groups)
    return replace(tasks, largest=rows, groups=groups)


def _told(redactor: Redactor, told: Any) -> Any:
    """A kill or a sudden end in the words of a program."""
    facts = {
        key: redactor.label("host" if key == "node" else key, value)
        if key in _NAMES and not _ID.fullmatch(value)
        else redactor.line(value)
        for key, value in told.facts.items()
    }
    more = {}
    if isinstance(told, OtherKill) and told.cgroup:
        is_path = told.cgroup.startswith("/")
        more["cgroup"] = redactor.cgroup(told.cgroup) if is_path else redactor.line(told.cgroup)
    return replace(
        told,
        name=told.name and _name_told(redactor, told),
        reason=told.reason and redactor.line(told.reason),
        line=redactor.line(told.line),
        facts=facts,
        **more,
    )


def _name_told(redactor: Redactor, told: OtherKill | Notice) -> str:
    """Shells and build tools name a command line where others name a process."""
    name = told.name or ""
    return redactor.command(name) if isinstance(told, Notice) and " " in name else redactor.process(name)


def _unit(redactor: Redactor, unit: UnitNotice) -> UnitNotice:
    return replace(unit, unit=redactor.unit(unit.unit), line=redactor.line(unit.line))


def _source(redactor: Redactor, source: LogSource) -> LogSource:
    if source.name != "file":
        return source
    label = redactor.path(source.what)
    unread, do = (text and text.replace(source.what, label) for text in (source.unread, source.do))
    return replace(source, what=label, unread=unread, do=do)


def _values(texts: Mapping[str, str], change: Callable[[str], str]) -> dict[str, str]:
    return {key: change(text) for key, text in texts.items()}


def _words_of(value: Any) -> Iterator[str]:
    """Every word in every text of what was found."""
    if isinstance(value, str):
        yield from re.findall(r"[^\s\"'`()\[\]{},;<>|=:]+", value)
    elif isinstance(value, dict):
        yield from _words_of([*value.keys(), *value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _words_of(each)
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from _words_of(getattr(value, name))
