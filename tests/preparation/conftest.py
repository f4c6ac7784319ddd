"""What several tests of `prepare` need and what takes long to make."""

import gzip
import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.preparation.disturbing import SEPARATOR


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the same 4 MB of documents as text, jsonl.gz and parquet."""
    folder = tmp_path_factory.mktemp("corpus")
    chance = random.Random(5)
    letters = "aeiou rstlnmdgh, .'-é字"
    words = ["".join(chance.choices(letters, k=chance.randrange(1, 9))) for _ in range(20_000)]
    documents = [" ".join(chance.choices(words, k=chance.choice([5, 50, 900]))) for _ in range(2500)]
    (folder / "text.txt").write_text(SEPARATOR.join(documents))
    lines = "".join(json.dumps({"text": document}) + "\n" for document in documents)
    (folder / "text.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 1))
    pq.write_table(pa.table({"text": documents}), folder / "text.parquet", row_group_size=1000)
    return folder
