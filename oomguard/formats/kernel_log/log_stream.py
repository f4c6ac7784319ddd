"""A log of any size as a stream of bytes: only the neighbourhood of words that matter is read line by line.

Looking for a few fixed words runs at more than 100 MB/s; Python reads lines at a tenth of that. A report is a few
hundred lines around such words, so text before a find is read too, and text after it for as long as the reader has
an open report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.formats.kernel_log.log_lines import LONGEST_LINE, read_messages
from oomguard.formats.kernel_log.oom_events import OomLogReader

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.formats.kernel_log.records import LogFinding

_WINDOW = 1 << 16  # bytes that are read or passed over together; the memory counters of a report fit in one
# A few short words that most text does not hold, and behind each what makes it worth reading.
_WORDS: dict[bytes, tuple[bytes, ...]] = {
    b"oom": (
        b"oom-kill", b"oom_reaper: ", b"_adj name", b"oom.group set", b"oomd killed", b"for killing", b"oomd kill:",
        b"oom_kill_process: ", b"oom_kill event",
    ),
    b"OOM": (b"OOM",),
    b"Kill": (b"Killed process", b"Killed\n", b"Killed /", b"Killed 1", b"Kill process", b"Killing process", b"Kill '", b"Killing '"),
    b"emory": (
        b"ut of memory: ", b"ut of memory (", b"ut of Memory: ", b"ut of memory and no", b"emory! avail", b"emory values in pages", b"on memory",
        b"low memory!", b"memory budget", b"OutOfMemoryError", b"resource: memory", b"lowmemorykiller", b"memory limit", b"status that requires",
        b"emory cgroup out",
    ),
    b"SIG": (b"sending SIG", b"Sending SIG"),
    b"viction": (b"viction manager",),
    # The journal's JSON writes what is no UTF-8 as numbers: a process chose its name so.
    b"111,111,109,45": (b"111,111,109,45,107,105,108,108",),  # oom-kill
    b"75,105,108,108": (b"75,105,108,108,101,100,32,112",),  # Killed p
}  # fmt: skip


def find_in_blocks(blocks: Iterable[bytes]) -> Iterator[LogFinding]:
    """Find everything that was killed for lack of memory in a log, oldest first.

    Holds one block, the window before it and one report, whatever the size of the log or of a line in it.
    Raises: nothing of its own.
    """
    reader = OomLogReader()
    for message in read_messages(_lines_that_matter(whole_lines(blocks), reader)):
        yield from reader.feed(message)
    yield from reader.close()


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut blocks at line ends. Of a line longer than LONGEST_LINE only the beginning is kept."""
    carry = b""
    skipping = False
    for given in blocks:
        block = given
        if skipping:
            end = given.find(b"\n")
            if end < 0:
                continue
            block, skipping = given[end:], False
        end = block.rfind(b"\n") + 1
        if end:
            yield carry + block[:end] if carry else block[:end] if end < len(block) else block
            carry = block[end:]
        else:
            carry += block
        if len(carry) > 4 * LONGEST_LINE:
            carry, skipping = carry[:LONGEST_LINE], True
    if carry:
        yield carry


def _lines_that_matter(blocks: Iterable[bytes], reader: OomLogReader) -> Iterator[str]:
    before = b""  # a window that was passed over, in case the next one matters
    going_on = False
    for block in blocks:
        words = [word for word in _WORDS if word in block]
        if not words and not going_on and not reader.hungry:
            before = block[-_WINDOW:]
            continue
        start = 0
        while start < len(block):
            end = block.find(b"\n", min(start + _WINDOW, len(block)) - 1) + 1 or len(block)
            matters = any(block.find(fine, start, end) >= 0 for word in words for fine in _WORDS[word])
            if matters or going_on or reader.hungry:
                if before:
                    yield ""
                    yield from _decoded(before[before.find(b"\n") + 1 :])
                    before = b""
                yield from _decoded(block[start:end])
                going_on = matters
            else:
                before = b"\n" + block[start:end]
            start = end


def _decoded(text: bytes) -> Iterator[str]:
    for line in text.split(b"\n"):
        yield line[:LONGEST_LINE].decode(errors="replace")
