"""How a tokenizer grows is the same whatever file the text comes in."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.estimation.growth_run import watch_growth
from oomguard.estimation.tokenizer_growth import continue_growth
from oomguard.preparation.api import divide_budget
from oomguard.preparation.encoding.encodings import find_rank_file
from oomguard.preparation.engines.messages import new_sentinel
from oomguard.preparation.job import Job
from oomguard.preparation.options import PrepareOptions, resolve_options
from oomguard.preparation.reading.sources import find_sources
from oomguard.units import MIB

pytestmark = pytest.mark.slow  # whole runs

DOCUMENTS = 2500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """8 MB of words at random: nearly each is a new one, and the table doubles again and again."""
    folder = tmp_path_factory.mktemp("growth")
    chance = random.Random(5)
    letters = "abcdefghijklmnopqrstuvwxyz"
    texts = [" ".join("".join(chance.choices(letters, k=7)) for _ in range(400)) for _ in range(DOCUMENTS)]
    (folder / "words.txt").write_text("\n".join(texts))
    (folder / "words.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pq.write_table(pa.table({"text": texts}), folder / "words.parquet")
    return folder


def grow(file: Path, most_text: int = 1 << 40, most_memory: int = 1 << 40) -> list[tuple[int, int]]:
    options = PrepareOptions(inputs=(str(file),))
    resolved = resolve_options(options)
    sources = find_sources(options.inputs, folder=Path(), exclude=None)
    job = Job(
        sources=sources,
        options=options,
        resolved=resolved,
        budget=divide_budget(256 * MIB, sources=sources, options=options, resolved=resolved),
        rank_file=find_rank_file(resolved.spec),
        sentinel=new_sentinel(),
    )
    return watch_growth(job, seconds=60.0, most_text=most_text, most_memory=most_memory)


def test_growth_does_not_depend_on_the_kind_of_file(folder: Path) -> None:
    ends = {kind: grow(folder / f"words.{kind}")[-1] for kind in ("txt", "jsonl", "parquet")}
    text, held = ends["txt"]
    assert held > 8 * MIB
    for other_text, other_held in ends.values():
        assert other_text == pytest.approx(text, rel=0.15)
        assert other_held == pytest.approx(held, rel=0.25)


def test_it_ends_when_it_knows_enough(folder: Path) -> None:
    points = grow(folder / "words.txt", most_memory=4 * MIB)
    assert points[-1][0] < 5 * MIB
    assert continue_growth(grow(folder / "words.txt")) is not None
