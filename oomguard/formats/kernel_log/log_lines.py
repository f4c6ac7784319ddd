"""Physical lines into whole messages: escapes undone, what a mail program or the journal broke put together again.

A line without a prefix that follows one with a prefix continues it. That is how `dmesg` and `journalctl` show a
message of several lines, and how a line that was wrapped looks. Whether the parts are one record or several is
for the reader of the message to say, so they are kept apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from oomguard.formats.kernel_log.prefixes import LogLine, messages_of_json, peel
from oomguard.formats.kernel_log.records import LogTime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from oomguard.formats.kernel_log.records import LogFinding


LONGEST_LINE = 1 << 16  # characters; the kernel's own limit for a record is below 9 KiB
_MOST_PARTS = 256

# Two records that lost the line end between them: another's console output, or a torn write.
_INSIDE = re.compile(r"(?<=.)(?=\[ {0,4}[0-9]{1,10}\.[0-9]{6}\](?:\[ *[TC][0-9]{1,10}\])? )")
# Between messages: nothing, the fence of a quotation, the frame of pretty-printed JSON.
_BETWEEN = re.compile(
    r'[\s>]*+(?:```.*|~~~.*|[\]\[{},]{1,4}|"(?:pri|fac|caller|dmesg|_[A-Z_]+|PRIORITY|insertId|severity'
    r'|receiveTimestamp|logName|labels|ingestionTime|eventId|logStreamName|stream|facility|hostname)"\s*:.*)?\s*'
)
_JSON_TIME = re.compile(r'\s*"time"\s*:\s*([0-9]{1,10}(?:\.[0-9]{1,9})?)')
# How a record that the mail program broke ends, where no line has a prefix to tell that the next belongs to it.
_UNFINISHED = re.compile(
    r"(?: invoked|oom-killer:|gfp_mask=[^=]*,|Killed process [0-9]+(?: \(.{1,20}\))?|rss:[0-9]+kB,|pgtables_bytes"
    r"|swapents|nr_ptes|total_vm)\s*$"
)
# What is a message of its own wherever it stands: no logger breaks a line before these words.
_OWN = re.compile(
    r"\s*(?:(?:Memory cgroup out|Out) of [Mm]emory: [Kk]ill|Killed process [0-9]|oom-kill:constraint=|oom_reaper: "
    r"|Kernel panic - not syncing"
    r"|.{1,60} invoked oom-killer: )"
)
_HYPHEN = re.compile(r"\w-$")  # where mail programs break "total-vm"
_PID_IN_TWO = re.compile(r"Killed process [0-9]{1,10} [0-9]")
_SIZES = re.compile(r"total-vm:[0-9]+kB, anon-rss:[0-9]+kB")
# What pdsh and grep put before a line.
_LABEL = re.compile(r"[\w./~+-]{1,200}(?:[:-][0-9]{1,9})?[:-] ?")
# A line that pdsh labelled and that continues the one before of that machine: it has no time of its own.
_LABELLED = re.compile(r"([\w.-]{1,64}): {2,}(?=\S)")
_MOST_LABELS = 4096
# A field of pretty-printed JSON is nobody's continuation.
_FIELD = re.compile(r'\s{1,60}"[\w@./-]{1,80}"\s?:\s')
_BROKEN_ROW = re.compile(r"\[ *[0-9]{1,10}\](?:\s+-?[0-9]+){3,8}\s*")


@dataclass(slots=True)
class Message:
    """One message; `parts` are the lines that may continue it."""

    line: LogLine
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its first line."""
        return self.line.text

    @property
    def time(self) -> LogTime | None:
        """When it was written."""
        return self.line.time

    def joined(self) -> str:
        """The message as one line."""
        if not self.parts:
            return self.text
        whole = self.line.text.strip()
        for part in self.parts:
            whole += part.strip() if _HYPHEN.search(whole[-2:]) else f" {part.strip()}"
        broken = self._is_broken_by_a_terminal()
        if broken or ("Killed process" in whole and _is_torn(whole)):
            cut = "".join((self.line.text, *self.parts)).strip()  # in the middle of words
            if "Killed process" in cut and _SIZES.search(cut) and self._is_as_wide_as_any_part():
                return cut
        return whole.lstrip()

    def _is_broken_by_a_terminal(self) -> bool:
        """Whether it is three lines or more, of one width but for the last."""
        width = len(self.line.raw)
        return len(self.parts) > 1 and all(len(part) == width for part in self.parts[:-1])

    def _is_as_wide_as_any_part(self) -> bool:
        """Whether a terminal may have broken it; else its rest is lost, and another line's rest follows."""
        return all(len(part) <= len(self.line.raw) for part in self.parts)


def _is_torn(kill: str) -> bool:
    return not _SIZES.search(kill) or _PID_IN_TWO.search(kill) is not None


def read_messages(lines: Iterable[str]) -> Iterator[Message]:
    """Put lines together into messages. Raises: nothing. Holds one message at a time, of bounded size."""
    message: Message | None = None
    json_time: LogTime | None = None
    labels: set[str] = set()  # of machines, before lines with a time
    for raw in _physical_lines(lines):
        if '"time"' in raw and (found := _JSON_TIME.match(raw)):
            json_time = LogTime(text=f"[{found[1]}]", monotonic=float(found[1]))
            continue
        line = None if _BETWEEN.fullmatch(raw) else _peel_labelled(raw, labels)
        if line and message and not line.prefixed and _continues(message, line.text):
            message.parts.append(line.text)
            continue
        if message is not None:
            yield message
        message = None
        if line is not None:
            line.time = line.time or json_time
            *whole, message = (Message(part) for part in _split(line))
            yield from whole
    if message is not None:
        yield message


def _peel_labelled(raw: str, labels: set[str]) -> LogLine:
    """Take the prefixes off. Lines of several machines come in between each other, so each keeps to its machine's."""
    if labels and (found := _LABELLED.match(raw)) and found[1] in labels:
        line = LogLine(raw)
        line.text, line.host, line.prefixed = raw[found.end() :], found[1], True
        return line
    line = peel(raw)
    if line.host and len(labels) < _MOST_LABELS and raw.startswith(f"{line.host}: "):
        labels.add(line.host)
    return line


def _physical_lines(lines: Iterable[str]) -> Iterator[str]:
    for given in lines:
        line = given[:LONGEST_LINE].rstrip("\r\n")
        if "\r" in line:  # a progress bar went back to the beginning of its line
            yield from (part for part in line.split("\r") if part)
        elif line[:1] in "{[," and (texts := messages_of_json(line)):
            yield from texts
        elif "#012" in line and line[:1] not in '{"':  # rsyslog's way to write a line end
            first, *rest = line.split("#012")
            yield first
            yield from rest
        elif "." in line and _INSIDE.search(line[1:]) and not line.lstrip().startswith('"') and '{"' not in line:
            yield from _apart(line)
        else:
            yield line


def _apart(line: str) -> Iterable[str]:
    """Divide a line where a second kernel time stamp begins, unless what is before is only its prefix."""
    *heads, last = _INSIDE.split(line)
    pieces = []
    held = ""
    for head in heads:
        held += head
        if _LABEL.fullmatch(held):
            continue
        from_kernel, says_something = _head_of(held)
        if not from_kernel:  # a program that quotes the kernel
            return [line]
        if says_something:
            pieces.append(held)
            held = ""
    return [*pieces, held + last]


@lru_cache(maxsize=64)  # the lines of one second have the same
def _head_of(text: str) -> tuple[bool, bool]:
    """What stands before a kernel's time stamp: whether it is the kernel's prefix, and whether it says something."""
    before = peel(text)
    return before.from_kernel, bool(before.text.strip())


def _split(line: LogLine) -> list[LogLine]:
    """A message of several lines in one record (JSON, /dev/kmsg) is as many messages."""
    text = line.text.replace("#012", "\n") if "#012" in line.text else line.text
    if "\n" not in text:
        return [line]
    texts = text.split("\n")[:_MOST_PARTS]
    made = []
    for text in texts:
        part = LogLine(line.raw[:LONGEST_LINE])
        part.text, part.time, part.ident, part.pid, part.prefixed = text, line.time, line.ident, line.pid, True
        made.append(part)
    return made


def _continues(message: Message, text: str) -> bool:
    if len(message.parts) >= _MOST_PARTS:
        return False
    if _FIELD.match(text):
        return False
    last = message.parts[-1] if message.parts else message.text
    if message.line.prefixed:
        return not (last.strip() and not last.rstrip().endswith((":", ",")) and _OWN.match(text))
    last = message.parts[-1] if message.parts else message.text
    return bool(_UNFINISHED.search(last[-200:]) or _BROKEN_ROW.fullmatch(last))


# What a reader of programs' lines offers to the reader of the kernel's: formats know no killer but the kernel.


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
