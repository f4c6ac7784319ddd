"""A row that is too long for `prepare`, wherever it is in a Parquet file, is told by `plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.errors import BudgetTooSmall
from oomguard.estimation.needs import check_longest
from oomguard.preparation.encoding.encodings import find_encoding
from oomguard.preparation.reading.corpus_sample import sample_corpus
from oomguard.preparation.reading.sources import find_sources
from oomguard.units import MIB

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.parametrize("groups", [1000, 100_000])
def test_one_long_row_among_short_ones(tmp_path: Path, groups: int) -> None:
    texts = ["a word and another one " * 20] * 40_000
    texts[30_000] = "a word and another one " * 700_000
    parquet.write_table(pa.table({"text": texts}), tmp_path / "in.parquet", row_group_size=groups, use_dictionary=False)
    sources = find_sources(["in.parquet"], folder=tmp_path, exclude=None)
    corpus = sample_corpus(sources, spec=find_encoding("gpt2"), strict=True)
    assert corpus.longest_document == pytest.approx(16_100_000, rel=0.01)
    check_longest(corpus, sources, fits=16 * MIB, budget=400 * MIB)
    with pytest.raises(BudgetTooSmall, match="a row of about 15.4 MiB is in the input") as raised:
        check_longest(corpus, sources, fits=8 * MIB, budget=400 * MIB)
    assert raised.value.do.startswith("--max-rss 768M")
