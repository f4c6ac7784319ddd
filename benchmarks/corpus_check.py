"""Is the made text like real text? `python -m benchmarks.corpus_check` answers with numbers.

1. The law: fitted on half the sample, against what the whole sample holds.
2. The generator: given only half of the sample, made as long as the whole, against the whole.
3. The novel words: length and tokens, against the words that the sample uses once.
4. The extrapolation, and with --count SIZE the distinct words really counted in made text of that size.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.corpus import Text, cut_to
from benchmarks.rivals.common import gpt2_encoding
from benchmarks.sample import PRETOKEN, count_words, distinct_documents, load_documents, measure_growth
from oomguard.units import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def count_blocks(blocks: Iterable[bytes]) -> Counter[str]:
    """Every word of a stream of blocks that end with whole words."""
    counts = Counter[str]()
    for block in blocks:
        counts.update(PRETOKEN.findall(block.decode()))
    return counts


def describe(label: str, counts: Counter[str]) -> str:
    words, once = counts.total(), sum(count == 1 for count in counts.values())
    twice = sum(count == 2 for count in counts.values())
    return f"| {label} | {words:,} | {len(counts):,} | {once / len(counts):.1%} | {twice / len(counts):.1%} |"


def check_law(documents: Sequence[str]) -> None:
    name = "FineWeb" if os.environ.get("OOMGUARD_DATA") else "help() texts"
    growth = measure_growth(documents)
    print(f"1. The law. {name}: {growth.size / 1e6:.2f} MB of distinct documents, {growth.words:,} words,")
    print(f"   {growth.distinct:,} distinct, {growth.once:,} used once; beta {growth.beta:.4f};")
    print(f"   fitted on the first half alone, the law gives {growth.half_error_fraction:+.1%} at the whole;")
    print(f"   {growth.unseen_fraction:.2%} of a tenth's words are in no other tenth.\n")
    print("| MB | distinct words | the law | error |\n|---:|---:|---:|---:|")
    curve, _ = count_words(documents)
    for part in (0.1, 0.2, 0.35, 0.5, 0.7, 0.85, 1.0):
        size, _, distinct = next(point for point in curve if point[0] >= part * curve[-1][0])
        law = growth.distinct_at(size)
        print(f"| {size / 1e6:.1f} | {distinct:,} | {law:,.0f} | {law / distinct - 1:+.1%} |")


def check_generator(documents: Sequence[str]) -> None:
    half = documents[: len(documents) // 2]
    growth = measure_growth(half)
    whole = sum(len(document.encode()) + 2 for document in documents)
    text = Text(half, growth, size=whole, seed=1)
    print(
        f"\n2. The generator, knowing {growth.size / 1e6:.1f} MB, made {whole / 1e6:.1f} MB; beta {growth.beta:.4f}\n"
    )
    print("| text | words | distinct | used once | used twice |\n|---|---:|---:|---:|---:|")
    print(describe("real, the half", count_blocks(document.encode() for document in half)))
    print(describe("real, the whole", count_blocks(document.encode() for document in documents)))
    print(describe("made from the half", count_blocks(cut_to(text.blocks(), whole))))


def check_novel_words(documents: Sequence[str]) -> Text:
    counts = count_blocks(document.encode() for document in documents)
    known = sum(len(document.encode()) + 2 for document in documents)
    text = Text(documents, measure_growth(documents), size=4 * known, seed=1)
    made = count_blocks(cut_to(text.blocks(), 3 * known))
    encoding, rng = gpt2_encoding(), np.random.default_rng(1)
    print("\n3. The novel words\n\n| words | mean bytes | mean tokens | bytes, 99th percentile |\n|---|---:|---:|---:|")
    real = [word for word, count in counts.items() if count == 1]
    novel = [word for word in made if word not in counts]
    for label, words in (("used once in the sample", real), ("made", novel)):
        lengths = np.array([len(word.encode()) for word in words])
        tokens = np.mean([len(encoding.encode_ordinary(word)) for word in words[:20_000]])
        print(f"| {label} | {lengths.mean():.2f} | {tokens:.2f} | {np.percentile(lengths, 99):.0f} |")
    for label, words in (("real", real), ("made", novel)):
        print(f"\n{label}: {' '.join(words[at].strip() for at in rng.integers(0, len(words), 40))}")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--count", default="45MB", help="count the distinct words of made text of this size (1 GB: 3 minutes)"
    )
    asked = parser.parse_args()
    documents = distinct_documents(load_documents()[1])
    check_law(documents)
    check_generator(documents)
    check_novel_words(documents)
    growth = measure_growth(documents)
    print("\n4. The extrapolation\n\n| text | words | distinct, by the law | new words in 1000 |\n|---|---:|---:|---:|")
    for size in ("45MB", "1GB", "15GB"):
        words = growth.words / growth.size * parse_size(size)
        new = 1000 * growth.new_fraction_at(parse_size(size))
        print(f"| {size} | {words:,.0f} | {growth.distinct_at(parse_size(size)):,.0f} | {new:.2f} |")
    counted_size = parse_size(asked.count)
    counted = count_blocks(cut_to(Text(documents, growth, size=counted_size, seed=1).blocks(), counted_size))
    law = growth.distinct_at(counted_size)
    print(
        f"\n{asked.count} made and counted: {len(counted):,} distinct words,",
        f"{len(counted) / law - 1:+.1%} against the law;",
        end=" ",
    )
    print(f"used once {sum(count == 1 for count in counted.values()) / len(counted):.1%}")


if __name__ == "__main__":
    main()
