"""What a job asks of servers, from sizes alone."""

from oomguard.estimation.model import count_units, server_needs
from oomguard.preparation.reading.source import Source
from oomguard.units import GIB


def source(path: str, size: int, kind: str = "parquet", compression: str | None = None) -> Source:
    return Source(path=path, kind=kind, compression=compression, size=size, mtime_ns=None)  # type: ignore[arg-type]


TERABYTE = [source(f"hf://datasets/a/b@c/{number}.parquet", 2 * GIB) for number in range(500)]


def test_a_terabyte_of_the_hub() -> None:
    """Two requests a file and one for each 64 MiB: more than a free account may make in five minutes."""
    needs = server_needs(TERABYTE, text_bytes=1000 * GIB, in_units=False)
    assert needs is not None
    assert needs.requests == needs.of_hub == 500 * (2 + 32)
    assert needs.least_seconds(5_000) == 3 * 300  # four windows: the first one begins at once
    assert needs.least_seconds(20_000) == 0
    assert "5,000 with a free one (at least 15 min 0 s)" in dict(needs.lines())[""]


def test_units_are_of_text_and_compressed_files_are_whole() -> None:
    assert count_units(TERABYTE, 2.0) == 500 * 16
    assert count_units([source("/a.jsonl", 10 * GIB, "jsonl", "zst"), source("/b.csv", GIB, "csv")], 1.0) == 2


def test_what_is_here_asks_nobody() -> None:
    assert server_needs([source("/data/a.txt", 5, "text")], text_bytes=5, in_units=True) is None
    needs = server_needs([source("s3://b/a", 5, "text")], text_bytes=5, in_units=True)
    assert needs is not None
    assert (needs.requests, needs.of_hub) == (6, 0)
