"""Make a text file of any size to measure on: `python -m benchmarks.corpus --size 1GB --out FILE`.

--kind text          the distinct documents of the sample, as they are; from there on its paragraphs at random, in
                     which words are replaced by novel ones, so that the vocabulary keeps growing by the sample's own
                     law (Heaps)
--kind no-newline    the same with every newline turned into a space
--kind random-words  letters a to z at random, mean length 7, one space between: the worst case for a cache of words
--kind sample        the sample's documents as they are, repetitions included, a blank line between (--size is not used)

The same size, kind, seed and sample give the same bytes. What was made, and from what, is written to FILE.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import regex

from benchmarks.novel_words import LONGEST, NovelWords, SeenWords, WordShapes
from benchmarks.sample import (
    BETWEEN_DOCUMENTS,
    PRETOKEN,
    Growth,
    distinct_documents,
    load_documents,
    measure_growth,
    sha256_of,
)
from oomguard.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

VERSION = 1  # of the algorithm: another number may make other bytes from the same seed
BLOCK = 4 << 20
# Only these can be exchanged without touching their neighbours: all letters or all digits, with or without a space.
CLASSES = {number: regex.compile(rule) for number, rule in enumerate((r" \p{L}+", r" \p{N}+", r"\p{L}+", r"\p{N}+"), 1)}


class Text:
    """The sample cut into paragraphs, and each paragraph before every slot: a place where a word was first used."""

    def __init__(self, documents: Sequence[str], growth: Growth, *, size: int, seed: int) -> None:
        counts = self._cut(documents)
        self._growth, self._rng = growth, np.random.default_rng(seed)
        rare = [(word_class, word) for word, (word_class, count) in counts.items() if count == 1]
        shapes = WordShapes((word_class, word) for word_class, word in rare if word_class and len(word) <= LONGEST)
        seen = SeenWords(int(growth.distinct_at(max(size, growth.size))))
        known = np.array([word for word in counts if len(word) <= LONGEST], f"S{LONGEST}")
        seen.add(known)
        self.novel = {number: NovelWords(number, shapes, seen, growth.beta) for number in CLASSES}
        slots = int(np.count_nonzero(self._slot_class))
        # So often must a slot be replaced that unseen words get the share of the text they have in a new document.
        self.replace_fraction = min(1.0, growth.unseen_fraction * growth.words / slots)
        self.slots_per_byte = slots / growth.size

    def _cut(self, documents: Sequence[str]) -> dict[bytes, tuple[int, int]]:
        """Fill the tables; give each word's class (0: no slot) and count."""
        counts: dict[bytes, tuple[int, int]] = {}
        before, word_at, slot_class, first = [], [], [], [0]
        for document in documents:
            for paragraph in (document + BETWEEN_DOCUMENTS).splitlines(keepends=True):
                done = 0
                for match in PRETOKEN.finditer(paragraph):
                    word = match[0].encode()
                    known = counts.get(word)
                    if known is not None:
                        counts[word] = (known[0], known[1] + 1)
                        continue
                    found = next((number for number, rule in CLASSES.items() if rule.fullmatch(match[0])), 0)
                    counts[word] = (found, 1)
                    if found:
                        before.append(paragraph[done : match.start()].encode())
                        word_at.append(word)
                        slot_class.append(found)
                        done = match.end()
                before.append(paragraph[done:].encode())
                word_at.append(b"")
                slot_class.append(0)
                first.append(len(before))
        self._before, self._word = _objects(before), _objects(word_at)
        self._slot_class = np.array(slot_class, np.uint8)
        self._first = np.array(first, np.int64)
        return counts

    def blocks(self) -> Iterator[bytes]:
        """First the sample as it is, then text without end."""
        paragraphs = self._first.size - 1
        size = 0
        for start in range(0, paragraphs, 10_000):
            block = self._render(np.arange(start, min(start + 10_000, paragraphs)), new_fraction=None)
            size += len(block)
            yield block
        while True:
            # Small blocks at first: a word can return only in a later block than the one that brought it.
            wanted = min(BLOCK, max(1 << 16, size // 16))
            chosen = self._rng.integers(0, paragraphs, max(1, wanted * paragraphs // self._growth.size))
            new = self._growth.new_fraction_at(size + wanted / 2) * self._growth.words / self._growth.size
            block = self._render(chosen, new_fraction=new / (self.slots_per_byte * self.replace_fraction))
            size += len(block)
            yield block

    def _render(self, paragraphs: NDArray[np.int64], *, new_fraction: float | None) -> bytes:
        lengths = self._first[paragraphs + 1] - self._first[paragraphs]
        starts = np.repeat(self._first[paragraphs] - np.concatenate(([0], np.cumsum(lengths)[:-1])), lengths)
        segments = starts + np.arange(starts.size)
        pieces = np.empty(2 * segments.size, np.object_)
        pieces[0::2] = self._before[segments]
        pieces[1::2] = self._word[segments]
        if new_fraction is not None:
            classes = self._slot_class[segments]
            classes[self._rng.random(classes.size) >= self.replace_fraction] = 0
            for number, words in self.novel.items():
                replaced = np.flatnonzero(classes == number)
                pieces[2 * replaced + 1] = words.take(replaced.size, new_fraction, self._rng)
        return b"".join(pieces.tolist())


def _objects(values: list[bytes]) -> NDArray[np.object_]:
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array


def random_words(seed: int) -> Iterator[bytes]:
    """Words of uniform letters, their lengths geometric with mean 7."""
    rng = np.random.default_rng(seed)
    while True:
        letters = rng.integers(ord("a"), ord("z") + 1, BLOCK, dtype=np.uint8)
        spaces = np.cumsum(rng.geometric(1 / 7, BLOCK // 7) + 1) - 1
        letters[spaces[spaces < BLOCK]] = ord(" ")
        letters[-2:] = (ord("a"), ord(" "))  # blocks join with one space, too
        yield letters.tobytes()


def cut_to(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes or a little less: up to the last newline, or failing that the last space."""
    for block in blocks:
        if len(block) >= size:
            last = block[:size]
            yield last[: max(last.rfind(b"\n"), 0 if b"\n" in last else last.rfind(b" ")) + 1]
            return
        size -= len(block)
        yield block


def make(out: Path, *, size: int, kind: str, seed: int) -> dict[str, object]:
    """Write the file and its record beside it. A file that exists with the same parameters is kept as it is."""
    asked: dict[str, object] = {
        "version": VERSION,
        "kind": kind,
        "size_asked": size,
        "seed": seed,
        "numpy": np.__version__,
    }
    text = growth = None
    if kind == "random-words":
        blocks = cut_to(random_words(seed), size)
    else:
        name, documents = load_documents()
        asked |= {"sample": name, "sample_sha256": sha256_of(documents)}
    record_file = Path(f"{out}.json")
    if out.exists() and record_file.exists():
        record: dict[str, object] = json.loads(record_file.read_text())
        if record["asked"] == asked and out.stat().st_size == record["size"]:
            return record
    began = time.monotonic()
    if kind == "sample":
        blocks = iter([BETWEEN_DOCUMENTS.join(documents).encode()])
    elif kind != "random-words":
        documents = distinct_documents(documents)
        growth = measure_growth(documents)
        text = Text(documents, growth, size=size, seed=seed)
        blocks = cut_to(text.blocks(), size)
    if kind == "no-newline":
        blocks = (block.replace(b"\n", b" ") for block in blocks)
    written, digest, prepared = 0, hashlib.sha256(), time.monotonic()
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("wb") as file:
        for block in blocks:
            file.write(block)
            digest.update(block)
            written += len(block)
        file.flush()
        os.fsync(file.fileno())
    record = {"asked": asked, "size": written, "sha256": digest.hexdigest()}
    if growth and text:
        novel = sum(words.count for words in text.novel.values())
        record["growth"] = asdict(growth)
        record["distinct_words"] = {
            "expected": round(growth.distinct_at(max(written, growth.size))),
            "made": growth.distinct + novel,
        }
    record["seconds"] = {"prepare": round(prepared - began, 1), "write": round(time.monotonic() - prepared, 1)}
    record_file.write_text(json.dumps(record, indent=1) + "\n")
    return record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="45MB", help="1GB = 10**9 bytes, 1GiB = 2**30")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=("text", "no-newline", "random-words", "sample"), default="text")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(json.dumps(make(asked.out, size=parse_size(asked.size), kind=asked.kind, seed=asked.seed), indent=1))


if __name__ == "__main__":
    main()
