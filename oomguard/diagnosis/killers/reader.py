"""Reads what programs write about kills: the lines of one kill put together, with what the lines around it tell."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import KILLERS
from oomguard.diagnosis.killers.base import Around, Killer, Wording, parse_size, starts
from oomguard.diagnosis.killers.words import alternatives, compile_words, literal_prefix, stems_of
from oomguard.formats.kernel_log import log_stream, parse_kernel_log
from oomguard.formats.kernel_log.log_lines import Programs
from oomguard.formats.kernel_log.records import Notice, OtherKill

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.formats.kernel_log import LogFinding
    from oomguard.formats.kernel_log.log_lines import Message


_LINE_CHARACTERS = 600
_LONGEST = 60_000  # of a line that is compared: docker inspect on one line
_NEAR_SECONDS = 30.0
_BEFORE, _AFTER = 120, 80  # lines around a kill that may tell of it
_MOST_NOTICES = 64
_MOST_JOBS = 4096  # that are remembered: a queue names many, and then the accounting the same
_OWN_GROUPS = frozenset(["pid", "pid2", "name", "name2", "name3", "cgroup", "count", "size", "unit", "reason", "said"])
# Programs whose lines quote what somebody typed, asked for, or set as a rule.
_QUOTING = re.compile(
    r"(?:sudo|su|CRON|crond?|anacron|atd|audit(?:d|spd)?|sshd|bash|zsh|prometheus|alertmanager|grafana|puppet\S*|ansible\S*|snoopy)"
)
_RAY_NAME = re.compile(r"\bname=(?P<name>[^,)]{1,200})")

_ALL = tuple((killer, words) for killer in KILLERS for words in killer.wordings)
# A line that holds none of the fixed words is passed over at once; a detail's own line has none.
_LITERALS = tuple(
    dict.fromkeys(literal_prefix(each)[0] for _, words in _ALL for each in alternatives(words.word) if each)
)
_STEMS = stems_of(_LITERALS)  # most lines hold none, and that is found out in a tenth of the time
_ASCII_STEMS = tuple(filter(str.isascii, _STEMS))
_LITERALS_OF = {stem: tuple(literal for literal in _LITERALS if stem in literal) for stem in _STEMS}
_DETAILED = frozenset(killer.ident for killer, words in _ALL if words.kind == "detail")


@dataclass(slots=True)
class _Line:
    """A line as it is compared: without what may lead it."""

    text: str
    places: list[int]
    ident: str
    message: Message
    is_part: bool  # a line without a prefix after one with a prefix: who wrote it, and when, is not told


class KillerReader:
    """Follows a log. Holds one kill and the lines around it."""

    def __init__(self) -> None:
        self._open: OtherKill | None = None
        self._entry: Killer | None = None
        self._is_kill = False
        self._before: deque[str] = deque(maxlen=_BEFORE)
        self._around = Around()
        self._waiting: list[tuple[Notice, Killer, Around]] = []
        self._noticed: set[tuple[str, int | None, str]] = set()
        self._jobs: dict[tuple[str, str], str] = {}  # whose kill was told, and in which program's words

    def feed(self, message: Message, joined: str) -> tuple[bool, list[LogFinding]]:
        """Read a line. Gives whether it told something, and what is complete with it."""
        ident = message.line.ident or ""
        if _QUOTING.fullmatch(ident):
            return False, []
        said = False
        found: list[LogFinding] = []
        if self._matters(joined):
            for number, text in enumerate((message.text, *message.parts) if message.parts else ()):
                part = "" if number else ident
                line = _Line(text[:_LONGEST], starts(text[:_LONGEST]), part, message, is_part=number > 0)
                said = self._try(line, found) or said
            if not said:  # in one line, or broken by a mail program
                whole = _Line(joined[:_LONGEST], starts(joined[:_LONGEST]), ident, message, is_part=False)
                said = self._try(whole, found)
        self._remember(message)
        found += self._ripe()
        return said, found

    def flush(self) -> list[LogFinding]:
        """Give what is open."""
        found: list[LogFinding] = [done] if (done := self._close()) else []
        found += [_with_facts(notice, entry, around) for notice, entry, around in self._waiting]
        self._waiting.clear()
        return found

    def _matters(self, joined: str) -> bool:
        held = self._open
        stems = _ASCII_STEMS if joined.isascii() else _STEMS
        there = filter(joined.__contains__, stems)
        hints = any(any(map(joined.__contains__, _LITERALS_OF[stem])) for stem in there)
        return hints or (held is not None and (held.told_by or held.killer) in _DETAILED)

    def _try(self, line: _Line, found: list[LogFinding]) -> bool:
        for killer, words in _ALL:
            if words.own_log and killer.ident not in line.ident:
                continue
            for place in line.places:
                if matched := words.pattern.match(line.text, place):
                    if words.beside is not None and not words.beside.search("\n".join(self._before)):
                        continue
                    if killer.says == "kill":
                        found += self._take(killer, words, _read(killer, matched, line))
                    else:
                        self._notice(killer, matched, line)
                    return True
        return False

    def _take(self, killer: Killer, words: Wording, said: OtherKill) -> list[LogFinding]:
        held = self._open
        done: list[LogFinding] = []
        is_of_held = self._entry is not None and held is not None and _may_tell_of(self._entry, held, killer, said)
        if held is None or not is_of_held or (self._is_kill and not _same_kill(words, held, said)):
            if words.kind == "detail":
                return []  # a detail of nothing, or of what another program writes: a table, a status
            if (job := _job_of(killer, said)) and self._jobs.get((killer.blamed, job), killer.ident) != killer.ident:
                return []  # told before, by the queue or by the accounting, with other jobs in between
            if closed := self._close():
                done.append(closed)
            self._open, self._entry = said, killer
            self._around = Around(before=list(self._before))
        else:
            self._open = _merge(
                held, said, first_kill=words.kind == "kill" and not self._is_kill, replace_pid=not self._is_kill
            )
            if killer.tells_who and self._entry is not None and not self._entry.tells_who:
                self._open = replace(self._open, told_by=killer.ident, reason=said.reason, line=said.line)
                self._entry = killer
        self._is_kill = self._is_kill or words.kind == "kill"
        return done

    def _notice(self, killer: Killer, matched: re.Match[str], line: _Line) -> None:
        groups = matched.groupdict()
        pid = _pid(matched)
        text = line.text.strip()[:_LINE_CHARACTERS]
        key = (killer.ident, pid, "" if pid else text)
        if key in self._noticed or len(self._noticed) >= _MOST_NOTICES:
            return
        self._noticed.add(key)
        notice = Notice(
            says="elsewhere" if killer.says == "elsewhere" else "sigkill",
            told_by=killer.ident,
            time=None if line.is_part else line.message.time,
            pid=pid,
            name=next((groups[key] for key in ("name", "name2", "name3") if groups.get(key)), None),
            reason=(groups.get("reason") or "").strip() or None,
            line=text,
        )
        self._waiting.append((notice, killer, Around(before=list(self._before))))

    def _remember(self, message: Message) -> None:
        for text in (message.text, *message.parts):
            kept = text[:_LONGEST]
            self._before.append(kept)
            if self._is_kill and len(self._around.after) < _AFTER:
                self._around.after.append(kept)
            for _, _, around in self._waiting:
                around.after.append(kept)

    def _ripe(self) -> list[LogFinding]:
        if not self._waiting or len(self._waiting[0][2].after) < _AFTER:
            return []
        notice, entry, around = self._waiting.pop(0)
        return [_with_facts(notice, entry, around)]

    def _close(self) -> OtherKill | None:
        done, entry = (self._open, self._entry) if self._is_kill else (None, None)
        self._open, self._entry, self._is_kill = None, None, False
        if done is None or entry is None:
            return None
        if (job := _job_of(entry, done)) and len(self._jobs) < _MOST_JOBS:
            self._jobs.setdefault((entry.blamed, job), entry.ident)
        facts = {**self._around.read(entry.facts, done.line), **done.facts}
        if entry.read_table is not None:
            facts |= entry.read_table(replace(done, facts=facts), [*self._around.before, *self._around.after])
        return replace(done, facts=facts, rss=done.rss or parse_size(facts.get("used")))


def _with_facts(notice: Notice, entry: Killer, around: Around) -> Notice:
    facts = around.read(entry.facts, notice.line)
    pid = facts.pop("pid", None)  # on a line of its own
    return replace(notice, facts=facts, pid=notice.pid if pid is None or notice.pid is not None else int(pid))


def _may_tell_of(entry: Killer, held: OtherKill, killer: Killer, said: OtherKill) -> bool:
    """Whether they are words of one program, or of two parts of one: a step, the queue, the accounting, of one job."""
    if entry.ident == killer.ident:
        return True
    if entry.blamed != killer.blamed or entry.blamed == "kernel":  # whose kills many programs tell of
        return False
    job, held_job = _job_of(killer, said), _job_of(entry, held)
    return job is None or held_job is None or job == held_job


def _job_of(killer: Killer, kill: OtherKill) -> str | None:
    return kill.facts.get("job") or Around().read(killer.facts, kill.line).get("job")


def _same_kill(words: Wording, held: OtherKill, said: OtherKill) -> bool:
    if words.kind == "begin" or (said.pid and held.pid and said.pid != held.pid):
        return False
    if any(
        held.facts.get(key, value) != value for key, value in said.facts.items() if key in ("job", "pod", "container")
    ):
        return False
    if said.name and held.name and said.name != held.name and (held.told_by or held.killer) != "nohang":
        return False
    if (
        held.time
        and said.time
        and held.time.epoch
        and said.time.epoch
        and said.time.epoch - held.time.epoch > _NEAR_SECONDS
    ):
        return False
    unit, held_unit = (kill.cgroup.rpartition("/")[2] if kill.cgroup else None for kill in (said, held))
    return not (unit and held_unit and unit != held_unit)


def _merge(held: OtherKill, said: OtherKill, *, first_kill: bool, replace_pid: bool) -> OtherKill:
    longest = max((held.cgroup, said.cgroup), key=lambda path: len(path or ""))
    new_pid = said.pid if replace_pid and said.pid else held.pid or said.pid
    new_name = said.name if replace_pid and said.name else held.name or said.name
    return replace(
        held,
        pid=new_pid,
        name=new_name,
        cgroup=longest,
        processes=held.processes or said.processes,
        rss=held.rss or said.rss,
        reason=(said.reason or held.reason) if first_kill else (held.reason or said.reason),
        line=said.line if not held.pid and said.pid else held.line,
        facts={**said.facts, **held.facts},
    )


def _pid(found: re.Match[str]) -> int | None:
    """The number of the process, unless it is the beginning of a longer one, which is none."""
    groups = found.groupdict()
    key = next((key for key in ("pid", "pid2") if groups.get(key)), None)
    if key is None or found.string[found.end(key) : found.end(key) + 1].isdigit():
        return None
    return int(groups[key])


def _read(killer: Killer, found: re.Match[str], line: _Line) -> OtherKill:
    groups = {key: value for key, value in found.groupdict().items() if value}
    unit = groups.get("unit") or ("MiB" if killer.ident == "nohang" else "")
    name = groups.get("name") or groups.get("name2")
    if killer.ident == "ray" and (named := _RAY_NAME.search(line.text)):
        name = named["name"]
    return OtherKill(
        killer=killer.blamed,
        told_by=killer.ident,
        time=None if line.is_part else line.message.time,
        pid=_pid(found),
        name=name,
        cgroup=groups.get("cgroup"),
        processes=int(groups["count"]) if groups.get("count") else None,
        rss=parse_size(f"{groups['size']} {unit}") if groups.get("size") else None,
        reason=(groups.get("said") or groups.get("reason") or "").strip() or None,
        line=line.text.strip()[:_LINE_CHARACTERS],
        facts={key: value for key, value in groups.items() if key not in _OWN_GROUPS},
    )


# A log read for the kernel's kills and for those of all programs in the table of killers.


PROGRAMS = Programs(
    words=compile_words(
        (wording.word for killer in KILLERS if killer.in_logs for wording in killer.wordings), log_stream.KERNEL_WORDS
    ),
    few=compile_words(wording.word for killer in KILLERS if not killer.in_logs for wording in killer.wordings),
    reader=KillerReader,
)
IDENTIFIERS = tuple(dict.fromkeys(ident for killer in KILLERS for ident in killer.identifiers))


def parse_log(lines: Iterable[str]) -> Iterator[LogFinding]:
    """Find everything that was killed for lack of memory, oldest first, in the lines of any log. Raises: nothing."""
    return parse_kernel_log(lines, KillerReader())


def find_in_blocks(blocks: Iterable[bytes]) -> Iterator[LogFinding]:
    """The same in blocks of bytes, of which only the neighbourhood of words that matter is read line by line."""
    return log_stream.find_in_blocks(blocks, PROGRAMS)


def find_newest(blocks: Iterable[bytes]) -> tuple[list[LogFinding], int]:
    """Find the newest kills, oldest first, and count the kernel's kills before them."""
    return log_stream.find_newest(blocks, PROGRAMS)
