"""Read kernel logs: who was killed for lack of memory, by whom, and everything that is told about it.

    >>> from oomguard.formats.kernel_log import parse_kernel_log
    >>> for finding in parse_kernel_log(open("kern.log", errors="replace")):
    ...     print(finding)

Any text will do: a line that means nothing is passed over. Nothing is read but what is given.
"""

from oomguard.formats.kernel_log.machines import parse_kernel_log
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
