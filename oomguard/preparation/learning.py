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


@dataclass(slots=True)
class Learning:
    """The account of one process. All numbers are bytes; `anonymous` is its anonymous memory now."""

    empty: int  # its anonymous memory when its tokenizer knew nothing
    learn: int  # how far a tokenizer may grow that knew nothing when its process began
    growth: int  # how far any may
    _last: int = 0  # anonymous memory after the piece before
    _text: int = 0  # encoded since the tokenizer knew nothing
    _text_at_birth: int = 0
    _most: float = field(init=False)
    _text_enough: float = float("inf")
    _is_born_knowing: bool = False

    def __post_init__(self) -> None:
        self._most = self.growth
        self._last = self.empty

    def begin_anew(self, anonymous: int) -> None:
        """The process has just been forked from one that had learned this much."""
        born_with = anonymous - self.empty
        self._text_at_birth = self._text
        if born_with >= self.learn:
            self._is_born_knowing = True
            self._most = max(self.growth, _SLACK * born_with)
            self._text_enough = max(_LEAST_TEXT, _REST_OF_TABLE * self._text)

    def is_enough(self, anonymous: int) -> bool:
        """Whether the process should take no more pieces; asked after each."""
        grown, leap = anonymous - self.empty, anonymous - self._last
        self._last = anonymous
        if self._is_born_knowing:
            return grown >= self._most or self._text - self._text_at_birth >= self._text_enough
        # A table that has just doubled has the most room for what those who are forked now will learn.
        return grown >= self.learn and (leap >= _LEAP * grown or grown >= _WITHOUT_LEAP * self.learn)

    def is_too_much(self, anonymous: int, text: int) -> bool:
        """Note that `text` bytes more were encoded; whether the process must forget at once."""
        self._text += text
        return anonymous - self.empty > self._most

    def forgot(self, anonymous: int) -> None:
        """The tokenizer knows nothing again.

        Where the mark is stays as it was, so that what a heap cannot give back is not added up from one time to the
        next; but there is room to learn something.
        """
        self.empty = max(self.empty, anonymous - self.growth // 2)
        self._last = anonymous
        self._text = self._text_at_birth = 0
