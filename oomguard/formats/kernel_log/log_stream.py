"""A log of any size as a stream of bytes: only the neighbourhood of words that matter is read line by line.

A regular expression that begins with a fixed word is found at more than 1 GB/s; Python reads lines at a hundredth
of that. A report is a few hundred lines around such words, so text before a find is read too, and text after it
for as long as a report is open. Where only the newest kills are asked for, not even all of those are read: the
last few MiB of them are kept, and of what is before only the kills are counted.
"""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.formats.kernel_log import OomLogReader
from oomguard.formats.kernel_log.log_lines import LONGEST_LINE, read_messages
from oomguard.formats.kernel_log.oom_lines import oldest_first
from oomguard.formats.kernel_log.wrapping import Unwrapper

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from oomguard.formats.kernel_log.log_lines import Programs
    from oomguard.formats.kernel_log.records import LogFinding

KEPT_BYTES = 4 << 20  # of the text around words that matter, where only the newest kills are asked for
_AROUND = 1 << 16  # bytes before and after a word that are read with it: memory counters and memory.stat fit
_PATIENCE_BYTES = 1 << 20  # of an open report without a row of its table
_SAMPLE_BYTES = 1 << 12
_BLOCK = 1 << 18

# What is searched for, by its first letters, which are found fast; what follows tells the kernel's kill from other talk of it.
KERNEL_WORDS = {
    "oom": r"-kill|_reaper: |_adj name|_score_adj name|\.group set|d killed|_kill_process: |_score [0-9]",
    "OOM": r" execution| [Kk]ill| request ignored",
    "Kill": r"ed process| process",
    "emory": (
        r": [Kk]ill| and no killable| cgroup out of| values in pages| \(oom_kill_all|(?<=ut of memory)(?:[ \r]*\n|\. )"
    ),
    # The journal's JSON writes what is no UTF-8 as numbers, and a process may choose such a name: oom-, Kille.
    'E":[': r"[0-9,]{0,4000}(?:111,111,109,45|75,105,108,108,101,100)",
}
# What the kernel says once, mostly at boot, and explains a kill much later.
KERNEL_FEW = {"k swap on": " ", "zswap: loaded": " ", "zram: Added": " "}
FEW_BYTES = 4 << 20  # at the beginning of a log that are searched for those


def compile_stems(stems: Mapping[str, str]) -> tuple[re.Pattern[bytes], ...]:
    """One expression for each, which begins with fixed letters."""
    return tuple(re.compile(f"{re.escape(stem)}(?:{rest})".encode()) for stem, rest in stems.items())


_KERNEL_ALONE = compile_stems(KERNEL_WORDS)
_KERNEL_FEW = compile_stems(KERNEL_FEW)
_BEGINS, _ENDS = (b"oom-killer", b"values in pages"), (b"ed process", b"killable", b"anic - not")
_TRIGGER = b" invoked oom-killer"
_ROW = re.compile(rb"\[ *[0-9]{1,10}\] +[0-9]{1,10} +[0-9]{1,10} +[0-9]{1,12} ")
PASSED_OVER = b"\noomguard passed over the middle of this report\n"
_KILL = re.compile(rb"Killed process ([0-9]{1,10})[ ,][^\n]{0,80}")


@dataclass(frozen=True, slots=True)
class _Words:
    """What is searched for: everywhere, and only where a log begins and ends, as pasted texts are short."""

    always: tuple[re.Pattern[bytes], ...]
    few: tuple[re.Pattern[bytes], ...]


def find_in_blocks(blocks: Iterable[bytes], programs: Programs | None = None) -> Iterator[LogFinding]:
    """Find everything that was killed for lack of memory in a log, oldest first; `programs`: by others too.

    Holds a block or two and one report, whatever the size of the log or of a line in it. Raises: nothing of its own.
    """
    return _parse(_passages(whole_lines(blocks), _words(programs)), programs)


def find_newest(blocks: Iterable[bytes], programs: Programs | None = None) -> tuple[list[LogFinding], int]:
    """Find the newest kills in a log, oldest first, and count the kernel's kills before them, read no further.

    As fast as the words are found, however many reports there are. Holds KEPT_BYTES more than find_in_blocks().
    """
    held = _Held()
    for text in _passages(whole_lines(blocks), _words(programs)):
        held.add(text)
    return list(_parse((piece.text for piece in held.pieces), programs)), held.counted


def _words(programs: Programs | None) -> _Words:
    if programs is None:
        return _Words(always=_KERNEL_ALONE, few=_KERNEL_FEW)
    return _Words(always=programs.words, few=(*_KERNEL_FEW, *programs.few))


def _parse(texts: Iterable[bytes], programs: Programs | None) -> Iterator[LogFinding]:
    reader = OomLogReader(programs.reader() if programs else None)
    unwrapper = Unwrapper()
    for message in oldest_first(read_messages(line for text in texts for line in unwrapper.lines(text))):
        yield from reader.feed(message)
    yield from reader.close()


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut blocks at line ends, none much smaller than _BLOCK. Of a line longer than LONGEST_LINE the rest is dropped."""
    held: list[bytes] = []
    size = 0
    skipping = False
    for given in blocks:
        block = given
        if skipping:
            end = given.find(b"\n")
            if end < 0:
                continue
            block, skipping = given[end:], False
        held.append(block)
        size += len(block)
        if size < _BLOCK:
            continue
        text = held[0] if len(held) == 1 else b"".join(held)
        end = text.rfind(b"\n") + 1
        if end:
            yield text[:end]
            text = text[end:]
        while len(text) > LONGEST_LINE and (cut := _between_entries(text)):
            yield text[:cut] + b"\n"
            text = text[cut:]
        if len(text) > LONGEST_LINE:
            text, skipping = text[:LONGEST_LINE], True
        held, size = [text], len(text)
    if size:
        yield b"".join(held)


def _between_entries(text: bytes) -> int:
    """Where data that is one long line can be cut: between entries, strings, or lines of a string. 0: nowhere."""
    if (
        text[:1] in b"{[,"
        and (cut := max(text.rfind(b"},{", 0, LONGEST_LINE), text.rfind(b"}, {", 0, LONGEST_LINE))) > 0
    ):
        return cut + 1
    escaped = text.rfind(b"\\n", 0, LONGEST_LINE) + 2
    return escaped if escaped > 1 else max(text.rfind(end, 0, LONGEST_LINE) for end in (b'", "', b'","', b"', '")) + 1


def _passages(blocks: Iterable[bytes], words: _Words) -> Iterator[bytes]:
    """Give the text that matters, in pieces of whole lines of about _AROUND bytes.

    Where one does not go on where the last one ended, an empty line keeps their messages apart.
    """
    before = b""
    owed = 0  # bytes from here on that still belong to the last find
    touching = False
    for block, is_edge in _with_edges(blocks):
        spans = _spans(block, (*words.always, *words.few) if is_edge else words.always)
        place = 0
        while place < len(block):
            start, end = next(((start, end) for start, end in spans if end > place), (len(block), len(block)))
            if owed > 0 or start < place:
                start = place
            elif start > place:
                before, touching, place = block[max(place, start - _AROUND) : start], False, start
                continue
            if not touching and before:
                yield b"\n" + before[before.rfind(b"\n", 0, max(0, len(before) - _AROUND)) + 1 :]
                touching = True
            stop = _line_end(block, min(start + _AROUND, max(end, start + owed)))
            piece = block[start:stop]
            yield piece if touching else b"\n" + piece
            before, touching, place = b"", True, stop
            owed = _owed(piece, owed - len(piece))


def _with_edges(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each block, and whether it is of the first FEW_BYTES or the last block."""
    held: bytes | None = None
    size = 0
    for block in blocks:
        if held is not None:
            yield held, size < FEW_BYTES
            size += len(held)
        held = block
    if held is not None:
        yield held, True


def _spans(block: bytes, patterns: tuple[re.Pattern[bytes], ...]) -> list[tuple[int, int]]:
    """Where text that matters begins and ends, in order, not overlapping."""
    spans: list[tuple[int, int]] = []
    for place in sorted(found.start() for words in patterns for found in words.finditer(block)):
        start = block.rfind(b"\n", 0, max(0, place - _AROUND)) + 1
        end = _line_end(block, place + _AROUND)
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _line_end(block: bytes, place: int) -> int:
    return block.find(b"\n", min(place, len(block)) - 1) + 1 or len(block)


def _owed(piece: bytes, left: int) -> int:
    """How many bytes after this piece belong to it: those after a word, and all of a report that has not ended."""
    begin, end = (max(piece.rfind(word) for word in words) for words in (_BEGINS, _ENDS))
    if begin > end:
        return _PATIENCE_BYTES
    if end >= 0:
        return 0 if len(piece) - end > _AROUND else _AROUND
    return _PATIENCE_BYTES if left > _AROUND and _ROW.search(piece, 0, _SAMPLE_BYTES) else max(0, left)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Text, and whether a report begins or ends in it."""

    text: bytes
    begins: bool
    ends: bool


@dataclass(slots=True)
class _Held:
    """The newest text that matters, of bounded size, and a count of the kills in what was let go."""

    pieces: deque[_Piece] = field(default_factory=deque)
    size: int = 0
    _triggers: int = 0
    _kills: int = 0
    _is_cut: bool = False  # the last report that was let go has its end in what is held
    _known: OrderedDict[bytes, None] = field(default_factory=OrderedDict)

    @property
    def counted(self) -> int:
        """How many times the kernel killed in what was let go; a report may name several victims, or be cut."""
        return max(0, self._triggers - self._is_cut) if self._triggers else self._kills

    def add(self, text: bytes) -> None:
        """Take a piece; let the oldest go. Of a report that is longer than all that is held, its head stays."""
        self.pieces.append(
            _Piece(text, begins=any(word in text for word in _BEGINS), ends=any(word in text for word in _ENDS))
        )
        self.size += len(text)
        while self.size > KEPT_BYTES and len(self.pieces) > 4:
            if self.pieces[0].begins and not any(
                piece.begins or piece.ends for piece in self.pieces if piece is not self.pieces[0]
            ):
                gone = self.pieces[2]
                del self.pieces[2]
                self._mark_gap()
            else:
                gone = self.pieces.popleft()
            self.size -= len(gone.text)
            self._count(gone.text)

    def _mark_gap(self) -> None:
        if not self.pieces[1].text.endswith(PASSED_OVER):
            self.pieces[1] = _Piece(self.pieces[1].text + PASSED_OVER, begins=False, ends=False)
            self.size += len(PASSED_OVER)

    def _count(self, text: bytes) -> None:
        self._triggers += text.count(_TRIGGER)
        trigger, kill_line = text.rfind(_TRIGGER), text.rfind(b"Killed process")
        self._is_cut = trigger > kill_line if trigger != kill_line else self._is_cut
        for kill in _KILL.finditer(text):
            if kill[0] not in self._known:
                self._kills += 1
                self._known[kill[0]] = None
                if len(self._known) > 256:
                    self._known.popitem(last=False)
