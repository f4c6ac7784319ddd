"""Damaged files: what a file's own checksums say is heard, and nothing of it is passed over in silence."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.preparation.expecting import read_tokens, tokens_of

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [False, True])
def test_a_page_that_differs_from_its_checksum_is_refused(
    oomguard: Run, tmp_path: Path, version: str, dictionary: bool
) -> None:
    """One letter changed in the last of many pages, or in a dictionary; it would give another token."""
    documents = [f"document {number % 700} of them" for number in range(3000)]
    file = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"text": documents}), file, row_group_size=1000, compression="none", data_page_size=2000,
        write_page_checksum=True, use_dictionary=dictionary, data_page_version=version, write_statistics=False,
    )  # fmt: skip
    whole = oomguard("prepare", "a.parquet", "--val-fraction", "0")
    assert whole.returncode == 0, whole.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of(documents)
    data = bytearray(file.read_bytes())
    at = data.rfind(b"document 699")
    data[at : at + 8] = b"Document"
    file.write_bytes(data)
    for command in ("prepare", "plan"):
        refused = oomguard(command, "a.parquet", *(["--restart"] if command == "prepare" else []))
        assert refused.returncode == 1, (command, refused.stdout)
        assert refused.stderr.startswith("error: a.parquet") or "\nerror: a.parquet" in refused.stderr
        assert "checksum" in refused.stderr
        assert "Traceback" not in refused.stderr
