"""The real text that every made corpus starts from, and how its vocabulary grows.

A "word" here is a pretoken of GPT-2: what a tokenizer's cache keys on. Source: `r50k_pat_str` in
tiktoken_ext/openai_public.py.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import regex

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PRETOKEN = regex.compile(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s")
BETWEEN_DOCUMENTS = "\n\n"  # no document of the sample holds a blank line, so this can be split again
FOLDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Heaps' law V(n) = V0 * (n / n0) ** beta, fitted on a sample and passing through its end."""

    words: int  # n0: pretokens in the sample
    distinct: int  # V0
    once: int  # of these, seen exactly once
    size: int  # bytes of the sample
    beta: float
    half_error_fraction: float  # the law fitted on the first half, at the whole, against the count
    unseen_fraction: float  # of the words of a tenth, those that the other nine tenths never use

    def distinct_at(self, size: float) -> float:
        """Distinct words expected in `size` bytes, the sample's end or later."""
        return float(self.distinct * (size / self.size) ** self.beta)

    def new_fraction_at(self, size: float) -> float:
        """dV/dn: the chance that the next word is one never used before."""
        return self.beta * self.distinct_at(size) / (self.words * size / self.size)


def load_documents() -> tuple[str, list[str]]:
    """The sample's name and its documents, in order, repetitions included.

    FineWeb from $OOMGUARD_DATA when that is set; else the English that every Python brings: the texts of help().
    """
    if data := os.environ.get("OOMGUARD_DATA"):
        import pyarrow.parquet as pq

        files = sorted(Path(data, "corpora", "fineweb").glob("*.parquet"))
        if not files:
            sys.exit(f"error: no *.parquet in {data}/corpora/fineweb\n  try: unset OOMGUARD_DATA")
        columns = (pq.read_table(file, columns=["text"])["text"] for file in files)
        return "fineweb", [document for column in columns for document in column.to_pylist()]
    from pydoc_data import topics

    texts = (topics.topics[name] for name in sorted(topics.topics))
    return "pydoc-topics", [regex.sub(r"\n\s*\n", "\n", text).strip() for text in texts]


def distinct_documents(documents: Sequence[str]) -> list[str]:
    """Each document once: the FineWeb sample repeats its first 2,800 documents to fill 6,500.

    Measured growth would stop dead where the repetition starts, and every cache would look better than it is.
    """
    return list(dict.fromkeys(documents))


def sha256_of(documents: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        digest.update(document.encode() + b"\0")
    return digest.hexdigest()


def count_words(documents: Sequence[str]) -> tuple[list[tuple[int, int, int]], list[Counter[str]]]:
    """(bytes, words, distinct words) after each document, and the counts of each tenth of the documents.

    Documents are counted apart: what is written between them adds two bytes and no word.
    """
    seen: set[str] = set()
    curve = []
    folds = [Counter[str]() for _ in range(FOLDS)]
    size = words = 0
    for number, document in enumerate(documents):
        found = PRETOKEN.findall(document)
        folds[number * FOLDS // len(documents)].update(found)
        seen.update(found)
        size += len(document.encode()) + len(BETWEEN_DOCUMENTS)
        words += len(found)
        curve.append((size, words, len(seen)))
    return curve, folds


def measure_growth(documents: Sequence[str]) -> Growth:
    """Fit Heaps' law on the last nine tenths of a sample, and say how far to trust it."""
    curve, folds = count_words(documents)
    size, words, distinct = curve[-1]
    beta, _ = fit_power(curve, low=words / 10, high=words)
    half_beta, half_level = fit_power(curve, low=words / 20, high=words / 2)
    total = sum(folds, Counter[str]())
    unseen = sum(count for fold in folds for word, count in fold.items() if total[word] == count)
    return Growth(
        words=words,
        distinct=distinct,
        once=sum(count == 1 for count in total.values()),
        size=size,
        beta=beta,
        half_error_fraction=float(np.exp(half_level) * words**half_beta / distinct - 1),
        unseen_fraction=unseen / words,
    )


def fit_power(curve: Sequence[tuple[int, int, int]], *, low: float, high: float) -> tuple[float, float]:
    """Least squares of log V on log n between two numbers of words: (exponent, log of the factor).

    Points are thinned to even steps of 2 % first, or the many documents of the end would outweigh the rest.
    """
    log_words, log_distinct = [], []
    step = low
    for _, words, distinct in curve:
        if step <= words <= high:
            log_words.append(float(np.log(words)))
            log_distinct.append(float(np.log(distinct)))
            step = words * 1.02
    if len(log_words) < 3:
        sys.exit("error: the sample has too few documents to fit Heaps' law\n  try: a sample of 100 or more")
    exponent, level = np.polyfit(log_words, log_distinct, 1)
    return float(exponent), float(level)
