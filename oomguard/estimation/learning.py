"""How much an encoder's tokenizer has learned, in memory, and when that is enough.

gigatoken remembers each new word in a table that doubles when it is full; while it does, old and new are both there.
Measured on English: 20 MiB after 30 MB of text, 38 after 110, then at once 78 after 370, for a moment 117.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# A table that took N bytes of text to fill to its present size is full after 2.2 N more where words repeat as they do
# in a language (Heaps' law, exponent 0.6). A process that stops before never holds two tables.
_REST_OF_TABLE = 1.5
_LEAST_TEXT = 64 << 20
_SLACK = 1.25  # what a process was born with may already be near to what it may have
_LEAP = 0.25  # of what there is, in one piece: the table has just doubled, and has room again
_WITHOUT_LEAP = 2.2  # times what it may learn: no table is that slow to fill
_WORTH = 1.0  # byte of memory for a byte of text: English takes 0.3, words at random 7


@dataclass(slots=True)
class Learning:
    """The account of one process. All numbers are bytes; `anonymous` is its anonymous memory now."""

    empty: int  # its anonymous memory when its tokenizer knew nothing
    learn: int  # how far a tokenizer may grow that knew nothing when its process began
    growth: int  # how far any may
    _last: int = 0  # anonymous memory after the piece before
    _text: int = 0  # encoded since the tokenizer knew nothing
    _text_at_birth: int = 0
    _is_nursery: bool = True
    _leave_at: float = field(init=False)
    _forget_at: float = field(init=False)
    _text_enough: float = float("inf")

    def __post_init__(self) -> None:
        self._last = self.empty
        self._leave_at, self._forget_at = self.learn, self.growth

    def begin_anew(self, anonymous: int) -> None:
        """The process has just been forked from one that had learned this much."""
        self._is_nursery = False
        self._text_at_birth = self._text
        born_with = anonymous - self.empty
        if born_with >= self.learn and self._text:
            self._leave_at = max(self.growth, _SLACK * born_with)
            self._text_enough = max(_LEAST_TEXT, _REST_OF_TABLE * self._text)
        # It leaves behind its piece. Forgetting gives little back in a heap that was forked: only what cannot wait.
        self._forget_at = 2 * max(self.growth, self._leave_at)

    def is_enough(self, anonymous: int) -> bool:
        """Whether the process should take no more pieces; asked after each."""
        grown, leap = anonymous - self.empty, anonymous - self._last
        self._last = anonymous
        if self._is_nursery:
            # A table that has just doubled has the most room for what those who are forked now will learn.
            return grown >= self._leave_at and (leap >= _LEAP * grown or grown >= _WITHOUT_LEAP * self._leave_at)
        return grown >= self._leave_at or self._text - self._text_at_birth >= self._text_enough

    def is_worth_keeping(self, anonymous: int) -> bool:
        """Whether what was learned will be met again: not where nearly every word is a new one. For the nursery."""
        return not self._is_nursery or anonymous - self.empty <= _WORTH * self._text

    def is_too_much(self, anonymous: int, text: int) -> bool:
        """Note that `text` bytes more were encoded; whether the process must forget at once."""
        self._text += text
        return anonymous - self.empty > self._forget_at

    def forgot(self, anonymous: int) -> None:
        """The tokenizer knows nothing again. A process that was forked leaves behind its piece.

        Of the nursery the mark stays where it was, so that what a heap cannot give back is not added up from one time
        to the next; but there is room to learn something.
        """
        if not self._is_nursery:
            self._leave_at = 0
        self.empty = max(self.empty, anonymous - self.growth // 2)
        self._last = anonymous
        self._text = self._text_at_birth = 0
