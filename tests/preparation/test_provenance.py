"""--provenance: each document's row leads to its source, to the place there, and to its tokens."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.preparation.disturbing import SLOW, bytes_written, sums_of
from tests.preparation.expecting import last_checkpoint, tokens_of
from tests.preparation.kinds_of_input import KINDS, document_at, some_documents, write_kind
from tests.running import kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs
Run = Callable[..., subprocess.CompletedProcess[str]]


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [row for file in sorted(out.glob("provenance-*.parquet")) for row in pq.read_table(file).to_pylist()]


def streams_of(out: Path, header: int = 0) -> dict[str, list[int]]:
    """The tokens of each split, shard after shard."""
    return {
        split: [
            token
            for shard in sorted(out.glob(f"*{split}*.bin"))
            for token in np.frombuffer(shard.read_bytes()[header:], "<u2").tolist()
        ]
        for split in ("train", "val")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_leads_to_its_document_and_its_tokens(tmp_path: Path, kind: str) -> None:
    """Also where documents lie in several chunks, and some are for validation; rows divide all tokens."""
    documents = some_documents(600)
    name, options = write_kind(kind, tmp_path, documents)
    command = ("prepare", name, *options, "--provenance", "--val-fraction", "0.03", "--json", "--workers", "1")
    with started(*command, cwd=tmp_path, piece_bytes=1 << 12) as process:
        shown, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    made = json.loads(shown)
    assert [file["path"] for file in made["files"]] == ["provenance-00000.parquet"]
    out, streams = tmp_path / "tokens", streams_of(tmp_path / "tokens")
    rows = rows_of(out)
    assert [row["document"] for row in rows] == list(range(600))
    done = {"train": 0, "val": 0}
    for row, document in zip(rows, documents, strict=True):
        assert row["first_token"] == done[row["split"]]
        done[row["split"]] += row["tokens"]
        found = document_at(kind, row["source"], row["offset"])
        assert found == document
        text = "\n" if kind == "tar" and row["source"].endswith(".txt") and not found else found
        own = streams[row["split"]][row["first_token"] : row["first_token"] + row["tokens"]]
        assert own == tokens_of([text])
    assert done == {split: len(tokens) for split, tokens in streams.items()}
    assert done["val"]
