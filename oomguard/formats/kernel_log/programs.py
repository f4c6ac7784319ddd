"""What a reader of programs' lines offers to the reader of the kernel's: formats know no killer but the kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from oomguard.formats.kernel_log.log_lines import Message
    from oomguard.formats.kernel_log.records import LogFinding


class ProgramReader(Protocol):
    """Puts together the lines that a program writes about a kill."""

    def feed(self, message: Message, joined: str) -> tuple[bool, list[LogFinding]]:
        """Read a line. Gives whether it told something, and what is complete with it."""
        ...

    def flush(self) -> list[LogFinding]:
        """Give what is open at the end of the log."""
        ...


@dataclass(frozen=True, slots=True)
class Programs:
    """All programs that are to be understood: the words that their lines hold, and who reads them.

    `words` hold the kernel's own too; `few` are those of messages that people paste, looked for where a log begins and
    where it ends.
    """

    words: tuple[re.Pattern[bytes], ...]
    few: tuple[re.Pattern[bytes], ...]
    reader: Callable[[], ProgramReader]
