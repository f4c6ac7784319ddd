"""How a tokenizer grows is the same whatever file the text comes in: what reading takes is not counted."""

import json
import random
import subprocess
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.linux.own_process import own_command
from oomguard.planning.tokenizer_growth import continue_growth
from oomguard.preparation.encodings import find_encoding, find_rank_file
from oomguard.preparation.growth_process import GrowthTask
from oomguard.units import MIB

DOCUMENTS = 1000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 MB of words at random: nearly each is a new one, and the table doubles again and again."""
    folder = tmp_path_factory.mktemp("growth")
    chance = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [" ".join("".join(chance.choices(letters, k=7)) for _ in range(400)) for _ in range(DOCUMENTS)]
    (folder / "words.txt").write_text("\n".join(texts))
    (folder / "words.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pq.write_table(pa.table({"text": texts}), folder / "words.parquet")
    return folder


def grow(file: Path, **other: float) -> list[tuple[int, int]]:
    spec = find_encoding("gpt2")
    task = GrowthTask(
        files=[str(file)],
        encoding="gpt2",
        rank_file=str(find_rank_file(spec)),
        text_field="text",
        **{"seconds": 60.0, "most": 1 << 40, **other},  # type: ignore[arg-type]
    )
    command = own_command("oomguard.preparation.growth_process", json.dumps(asdict(task)))
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return [(text, held) for text, held in json.loads(run.stdout)]


def test_growth_does_not_depend_on_the_kind_of_file(folder: Path) -> None:
    ends = {kind: grow(folder / f"words.{kind}")[-1] for kind in ("txt", "jsonl", "parquet")}
    text, held = ends["txt"]
    assert held > 8 * MIB
    for other_text, other_held in ends.values():
        assert other_text == pytest.approx(text, rel=0.15)
        assert other_held == pytest.approx(held, rel=0.25)


def test_it_ends_when_it_knows_enough(folder: Path) -> None:
    points = grow(folder / "words.txt", most=4 * MIB)
    assert points[-1][0] < 3 * MIB
    assert continue_growth(grow(folder / "words.txt")) is not None
