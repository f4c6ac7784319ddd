"""Small corpora, as a server has them and on disk, and what prepare makes of the files on disk."""

import hashlib
import importlib
import io
import json
import random
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.preparation.disturbing import sums_of
from tests.preparation.remote.hub_server import REPOSITORY
from tests.running import run_oomguard

zstd: Any = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


ADDRESS = f"hf://datasets/{REPOSITORY}"


@cache
def documents(count: int, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    words = ["".join(chance.choices("aeiourstlnmdghé字", k=chance.randrange(1, 9))) for _ in range(5000)]
    return [" ".join(chance.choices(words, k=chance.choice([5, 50, 400]))) for _ in range(count)]


def parquet(texts: list[str], **options: Any) -> bytes:
    file = io.BytesIO()
    table = pa.table({"id": [str(number) for number in range(len(texts))], "text": texts, "score": [0.5] * len(texts)})
    pq.write_table(table, file, **options)
    return file.getvalue()


def corpus(kind: str) -> dict[str, bytes]:
    """Two files, so that the order matters, and one that is no corpus."""
    made = {"README.md": b"# a dataset\n"}
    for number, texts in enumerate((documents(700, 1), documents(300, 2))):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        made |= {
            "small groups": {f"data/part-{number}.parquet": parquet(texts, row_group_size=90)},
            "one group": {f"data/part-{number}.parquet": parquet(texts, data_page_size=20_000, use_dictionary=False)},
            "jsonl.zst": {f"data/part-{number}.jsonl.zst": zstd.compress(lines)},
            "jsonl": {f"data/part-{number}.jsonl": lines},
            "text": {f"data/part-{number}.txt": "\n".join(texts).encode()},
        }[kind]
    return made


def on_disk(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def prepared(folder: Path, out: str, *arguments: str) -> dict[str, str]:
    done = run_oomguard("prepare", *arguments, "--out", out, "--workers", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    return sums_of(folder / out)


_known: dict[str, dict[str, str]] = {}


def sums_on_disk(files: dict[str, bytes], *arguments: str) -> dict[str, str]:
    """What prepare makes of these files on disk, as often as it is asked for: one run."""
    key = hashlib.sha256(repr((sorted(files.items()), arguments)).encode()).hexdigest()
    if key not in _known:
        with tempfile.TemporaryDirectory() as folder:
            on_disk(Path(folder, "disk"), files)
            _known[key] = prepared(Path(folder), "local", f"{folder}/disk/data", *arguments)
    return dict(_known[key])


KINDS = ["small groups", "one group", "jsonl.zst", "jsonl", "text"]
