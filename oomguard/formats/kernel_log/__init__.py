"""Read kernel logs: who was killed for lack of memory, by whom, and everything that is told about it.

    >>> from oomguard.formats.kernel_log import parse_kernel_log
    >>> for finding in parse_kernel_log(open("kern.log", errors="replace")):
    ...     print(finding)

Any text will do: a line that means nothing is passed over. Nothing is read but what is given.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from oomguard.formats.kernel_log.log_lines import read_messages
from oomguard.formats.kernel_log.oom_events import PATIENCE_LINES, Known, MachineReader
from oomguard.formats.kernel_log.oom_lines import oldest_first
from oomguard.formats.kernel_log.records import (
    LogFinding,
    MemcgReport,
    MemInfo,
    Notice,
    OomEvent,
    OtherKill,
    TaskGroup,
    TaskRow,
    TaskTable,
    UnitNotice,
    Victim,
    Zone,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.formats.kernel_log.log_lines import Message, ProgramReader

__all__ = [
    "LogFinding",
    "MemInfo",
    "MemcgReport",
    "Notice",
    "OomEvent",
    "OtherKill",
    "TaskGroup",
    "TaskRow",
    "TaskTable",
    "UnitNotice",
    "Victim",
    "Zone",
    "parse_kernel_log",
]
_SETTLED_LINES = 200  # of other machines, after which nothing more is awaited of a report that has ended
_MOST_MACHINES = 64
_NO_HOST = frozenset(["localhost", "(none)", "kernel", "unassigned-hostname"])  # before a machine knows its name


def parse_kernel_log(lines: Iterable[str], programs: ProgramReader | None = None) -> Iterator[LogFinding]:
    """Find everything that the kernel killed for lack of memory, oldest first, in the lines of any log.

    `programs` reads the lines that others than the kernel wrote. A stream: holds one report at a time.
    Raises: nothing, whatever the text.
    """
    reader = OomLogReader(programs)  # of one machine or of several
    for message in oldest_first(read_messages(lines)):
        yield from reader.feed(message)
    yield from reader.close()


class OomLogReader:
    """Follows a log, of one machine or of several whose lines come in between each other."""

    def __init__(self, programs: ProgramReader | None = None) -> None:
        self._programs = programs
        self._known = Known()
        self._last = MachineReader(programs, self._known)
        self._machines: OrderedDict[str, MachineReader] = OrderedDict()

    def feed(self, message: Message) -> list[LogFinding]:
        """Take the next message; give what is complete with it."""
        host = message.line.host
        if host is None or host == self._last.host or host in _NO_HOST:
            found = self._last.feed(message)
        else:
            self._last = self._machine(host)
            found = self._last.feed(message)
        if len(self._machines) < 2:
            return found
        return [*self._settle(), *found]

    def _machine(self, host: str) -> MachineReader:
        reader = self._machines.get(host)
        if reader is None:
            reader = self._last if not self._machines else MachineReader(self._programs, self._known)
            reader.host = host
            self._machines[host] = reader
        self._machines.move_to_end(host)
        return reader

    def _settle(self) -> list[LogFinding]:
        """What is complete on machines that have been silent since."""
        found = []
        for host, reader in list(self._machines.items()):
            if reader is self._last:
                reader.silence = 0
                continue
            reader.silence += 1
            if (
                reader.silence > (_SETTLED_LINES if not reader.hungry else PATIENCE_LINES)
                or len(self._machines) > _MOST_MACHINES
            ):
                found += reader.close()
                del self._machines[host]
        return found

    def close(self) -> list[LogFinding]:
        """Give what is left at the end."""
        readers = [*(each for each in self._machines.values() if each is not self._last), self._last]
        found = [each for reader in readers for each in reader.close()]
        if self._programs is not None:
            found += self._programs.flush()
        return found
