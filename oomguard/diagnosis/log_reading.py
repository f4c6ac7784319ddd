"""A log read for the kernel's kills and for those of all programs in the table of killers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers import KILLERS
from oomguard.diagnosis.killers.reader import KillerReader
from oomguard.diagnosis.killers.words import compile_words
from oomguard.formats.kernel_log import log_stream, parse_kernel_log
from oomguard.formats.kernel_log.log_lines import Programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.formats.kernel_log import LogFinding

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
