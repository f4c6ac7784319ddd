"""Words that a sample never used, looking like its rarest words, and used again as rare words are.

The shape comes from a Markov chain of order 3 over the bytes of the words that the sample uses once: names, typos,
numbers, words of other languages, each with its leading space. Use follows Pitman and Yor: an old word returns in
proportion to (times used - beta), which makes a tail of power beta. Source: Goldwater, Griffiths, Johnson,
"Producing Power-Law Distributions and Damping Word Frequencies with Two-Stage Language Models", JMLR 12 (2011),
section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

LONGEST = 24  # bytes of a word: 3 machine words, so that hashing is quick; 99.9 % of rare words are shorter
USES_KEPT = 1 << 24  # per class: 64 MiB; beyond that a random older use makes room, and frequencies stay as they were
_FIRST_USE = np.uint32(1 << 31)


class WordShapes:
    """The chain: for each context of three bytes, every byte that followed it in a rare word."""

    def __init__(self, rare: Iterable[tuple[int, bytes]]) -> None:
        """Learn from (class, word). A class is a small number that starts the context and no byte of text."""
        number_of: dict[bytes, int] = {}
        steps: list[tuple[int, int, bytes]] = []
        for word_class, word in rare:
            context = bytes([word_class]) * 3
            for byte in word + b"\0":
                steps.append((number_of.setdefault(context, len(number_of)), byte, context[1:] + bytes([byte])))
                context = context[1:] + bytes([byte])
        steps.sort(key=lambda step: step[0])
        contexts = np.array([step[0] for step in steps], np.int64)
        self._byte = np.array([step[1] for step in steps], np.uint8)
        self._next = np.array([number_of.get(step[2], 0) for step in steps], np.int64)  # 0: the word has ended
        self._first = np.searchsorted(contexts, np.arange(len(number_of)))
        self._count = np.bincount(contexts, minlength=len(number_of))
        self._start = {key[0]: number for key, number in number_of.items() if key[0] == key[1] == key[2] < 9}

    def draw(self, word_class: int, count: int, rng: np.random.Generator) -> NDArray[np.bytes_]:
        """Up to `count` words; those longer than LONGEST are dropped, for a cut could split a character."""
        letters = np.zeros((count, LONGEST + 1), np.uint8)
        alive = np.arange(count)
        context = np.full(count, self._start[word_class])
        for position in range(LONGEST + 1):
            step = self._first[context] + (rng.random(len(alive)) * self._count[context]).astype(np.int64)
            letters[alive, position] = self._byte[step]
            goes_on = self._byte[step] != 0
            alive, context = alive[goes_on], self._next[step][goes_on]
        finished = np.ascontiguousarray(np.delete(letters, alive, axis=0)[:, :LONGEST])
        return finished.view(f"S{LONGEST}").ravel()


class SeenWords:
    """A table of bits that never forgets a word; now and then it takes an unused one for seen, which does no harm."""

    def __init__(self, expected: int) -> None:
        self._bits_power = max(20, int(64 * expected).bit_length())
        self._bits = np.zeros(1 << (self._bits_power - 3), np.uint8)

    def add(self, words: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        """Mark all; the result says which were new, the second of two equal ones not."""
        a, b, c = np.ascontiguousarray(words).view(np.uint64).reshape(-1, LONGEST // 8).T
        mixed = a * np.uint64(0x9E3779B97F4A7C15) ^ (a >> np.uint64(29))
        mixed = (mixed ^ b) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(32)) ^ c) * np.uint64(0x94D049BB133111EB)
        place = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(64 - self._bits_power)
        new = np.zeros(len(words), np.bool_)
        new[np.unique(place, return_index=True)[1]] = True
        byte, bit = (place >> np.uint64(3)).astype(np.int64), np.uint8(1) << (place & np.uint64(7)).astype(np.uint8)
        new &= self._bits[byte] & bit == 0
        np.bitwise_or.at(self._bits, byte, bit)
        return new


class NovelWords:
    """One class's novel words so far, and their uses."""

    def __init__(self, word_class: int, shapes: WordShapes, seen: SeenWords, beta: float) -> None:
        self.count = 0
        self._class, self._shapes, self._seen, self._beta = word_class, shapes, seen, beta
        self._words = np.empty(1024, f"S{LONGEST}")
        self._uses = np.empty(1024, np.uint32)  # word numbers; the top bit marks a word's first use
        self._used = 0  # uses kept
        self._happened = 0  # uses in all

    def take(self, count: int, new_fraction: float, rng: np.random.Generator) -> NDArray[np.object_]:
        """`count` words for the text, about `new_fraction` of them used for the first time."""
        is_new = rng.random(count) < new_fraction
        is_new[:1] |= self.count == 0  # the first of all is new, whatever the dice say
        fresh = self._invent(int(is_new.sum()), rng)
        is_new[np.flatnonzero(is_new)[fresh.size :]] = False  # the chain found no more: use old ones
        numbers = np.empty(count, np.uint32)
        numbers[is_new] = fresh
        numbers[~is_new] = self._again(count - fresh.size, rng)
        self._remember(np.where(is_new, numbers | _FIRST_USE, numbers), rng)
        return self._words[numbers].astype(np.object_)

    def _invent(self, count: int, rng: np.random.Generator) -> NDArray[np.uint32]:
        first = self.count
        for _ in range(12):  # short shapes such as years are soon used up: draw again, do not insist
            missing = count - (self.count - first)
            if missing == 0:
                break
            drawn = self._shapes.draw(self._class, missing + missing // 4 + 4, rng)
            drawn = drawn[self._seen.add(drawn)][:missing]
            self._words = _with_room(self._words, self.count + drawn.size)
            self._words[self.count : self.count + drawn.size] = drawn
            self.count += drawn.size
        return np.arange(first, self.count, dtype=np.uint32)

    def _again(self, count: int, rng: np.random.Generator) -> NDArray[np.uint32]:
        if self._used == 0:  # the first block has only its own words to return to
            return rng.integers(0, max(self.count, 1), count, dtype=np.uint32)
        numbers = np.empty(count, np.uint32)
        open_places = np.arange(count)
        while open_places.size:  # take beta off each word's weight: refuse first uses that often
            drawn = self._uses[rng.integers(0, self._used, open_places.size)]
            refused = (drawn & _FIRST_USE != 0) & (rng.random(drawn.size) < self._beta)
            numbers[open_places] = drawn
            open_places = open_places[refused]
        return numbers & ~_FIRST_USE

    def _remember(self, uses: NDArray[np.uint32], rng: np.random.Generator) -> None:
        room = min(USES_KEPT - self._used, uses.size)
        self._uses = _with_room(self._uses, self._used + room)
        self._uses[self._used : self._used + room] = uses[:room]
        self._used += room
        # A late use takes a random place, but only as often as keeps every use equally likely to be here.
        self._happened += uses.size
        late = uses[room:][rng.random(uses.size - room) < USES_KEPT / self._happened]
        self._uses[rng.integers(0, max(self._used, 1), late.size)] = late


def _with_room(array: NDArray, needed: int) -> NDArray:  # type: ignore[type-arg]  # of any type
    if needed <= array.size:
        return array
    grown = np.empty(max(needed, array.size * 3 // 2), array.dtype)
    grown[: array.size] = array
    return grown
