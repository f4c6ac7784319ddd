"""Damaged files: what a file's own checksums say is heard, and nothing of it is passed over in silence."""

import bz2
import gzip
import lzma
import random
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.errors import BadInput
from oomguard.preparation.reading.byte_stream import ByteStream
from tests.preparation.expecting import read_tokens, tokens_of
from tests.preparation.reading.reads import granted, source

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


STREAMS = [b"one two three\n" * 400, b"four five six\n" * 700, b"", b"seven eight\n" * 50_000]
TOOLS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}


@pytest.mark.parametrize("name", TOOLS)
def test_every_stream_is_read_to_the_end_of_the_file(oomguard: Run, tmp_path: Path, name: str) -> None:
    """Several streams, an empty one, and zeros where the format or its tool allows them."""
    parts = [TOOLS[name](part) for part in STREAMS]
    padding = {"xz": [b"", b"\0" * 4, b"\0" * 70_000, b"\0" * 8], "gz": [b"", b"", b"", b"\0" * 70_001]}.get(
        name, [b""] * 4
    )
    for number, ends in enumerate((padding, [b""] * 4)):
        file = tmp_path / f"{number}.txt.{name}"
        file.write_bytes(b"".join(part + end for part, end in zip(parts, ends, strict=True)))
    done = oomguard("prepare", "--val-fraction", "0")
    assert done.returncode == 0, done.stderr
    assert read_tokens(tmp_path / "tokens" / "train.bin") == tokens_of([b"".join(STREAMS).decode()] * 2)


@pytest.mark.parametrize("name", ["xz", "bz2", "gz"])
def test_no_damage_in_a_further_stream_is_the_end_of_the_text(tmp_path: Path, name: str) -> None:
    """A flipped bit anywhere, a hole, a cut, other bytes behind a stream: the text comes whole, or there is an error.

    Some bytes of a gzip header (its time, its system) stand for nothing; all others are under a checksum.
    """
    chance = random.Random(11)
    texts = [bytes(chance.choices(b"abc d\n", k=30_000)) for _ in range(3)]
    parts = [TOOLS[name](text) for text in texts]
    whole, second = b"".join(parts), len(parts[0])
    broken = [
        whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :]
        for at in (*range(second, second + 40), *chance.sample(range(second, len(whole)), 60))
    ]
    broken += [whole[:second] + bytes(100) + whole[second + 100 :], whole[:second] + b"!" + whole[second:]]
    broken += [whole[:-1], whole[: second + 1], whole + b"other", whole + bytes(8) + b"other", whole + b"\x1f"]
    if name == "xz":
        broken += [whole + bytes(odd) for odd in (1, 2, 3, 5)]
    for data in broken:
        file = tmp_path / f"a.txt.{name}"
        file.write_bytes(data)
        given = []
        try:
            with ByteStream(source(file, "text", name), reserve=granted) as stream:
                while got := stream.read(1 << 20):
                    given.append(got)
        except BadInput as error:
            assert "a.txt" in str(error)
            assert b"".join(texts).startswith(b"".join(given))
        else:
            assert b"".join(given) == b"".join(texts)
            assert name == "gz"
            assert len(data) == len(whole)


def test_the_place_of_the_damage_is_said(oomguard: Run, tmp_path: Path) -> None:
    """The stream, where in the file it begins, and how much text came before it."""
    parts = [bz2.compress(text) for text in STREAMS]
    parts[3] = parts[3].replace(b"BZh91AY", b"BZh91AX")
    (tmp_path / "a.txt.bz2").write_bytes(b"".join(parts))
    refused = oomguard("prepare", "a.txt.bz2", "--val-fraction", "0")
    assert refused.returncode == 1
    assert f"stream 4, which begins at byte {sum(map(len, parts[:3]))} of the file" in refused.stderr
    assert f"after {sum(map(len, STREAMS[:3]))} bytes" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", TOOLS)
def test_a_stream_that_swells_is_given_in_small_parts(tmp_path: Path, name: str) -> None:
    """200 MB of zeros out of 200 KB or less take no more memory than the part that was asked for."""
    file = tmp_path / f"a.txt.{name}"
    file.write_bytes(TOOLS[name](bytes(200_000_000)))
    tracemalloc.start()
    try:
        size = 0
        with ByteStream(source(file, "text", name), reserve=granted) as stream:
            while got := stream.read(1 << 20):
                size += len(got)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20  # bz2 and xz take up to 8 MiB for themselves
    finally:
        tracemalloc.stop()
    assert size == 200_000_000
