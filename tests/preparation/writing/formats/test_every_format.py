"""Each format, written by the real writer and read as its loader reads it: every token, every end of a document."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS
from tests.preparation.reading.token_streams import Stream, files_in, write_all
from tests.preparation.writing.formats.readers import READERS
from tests.preparation.writing.test_token_sink import Crash, going_wrong, lose_what_was_not_synced
from tests.properties import examples, steps

BLOCK = 8
WIDE = [70_000, 1, 2**31 - 1]
# An empty document at each end and in the middle, one longer than a shard, one that fills a shard exactly.
DOCUMENTS = [[], [1, 2, 3], [], [], list(range(100, 300)), [7], [8] * 40, [9], [], list(range(50)), [5], []]
PACKED = [("arrow", BLOCK), ("litdata", BLOCK), ("mds", BLOCK)]
WITH_DOCUMENTS = [(name, None) for name, each in FORMATS.items() if each.keeps_documents]
QUICK = [("nanogpt", None), ("npy", None), ("megatron", None)]  # to try in daily work: one file, shards, an index
ALL = [(name, each.block_size and BLOCK) for name, each in FORMATS.items()] + PACKED[:1]


def stream_of(name: str, block: int | None, *, width: int = 2, shard_tokens: int = 40, val: str = "0.3") -> Stream:
    documents = DOCUMENTS if width == 2 else [[*document, *WIDE] if document else [] for document in DOCUMENTS]
    shards = None if FORMATS[name].one_file else shard_tokens
    return Stream(name, shard_tokens=shards, val_fraction=val, token_bytes=width, block_size=block, documents=documents)


def check(stream: Stream, folder: Path) -> None:
    """What the loader sees is the reference."""
    for split, documents in stream.sides().items():
        tokens, parts = READERS[stream.format](folder, split, stream.token_bytes)
        flat = [token for document in documents for token in document]
        assert tokens == flat, split
        if parts is None:
            continue
        if stream.block_size:
            assert parts == [flat[at : at + stream.block_size] for at in range(0, len(flat), stream.block_size)]
        else:
            assert parts == documents, split


@pytest.mark.parametrize(("name", "block"), ALL)
@pytest.mark.parametrize("width", [2, 4])
@pytest.mark.parametrize("shard_tokens", [40, 160, 4000], ids=["many", "three", "one"])
def test_loaders_see_every_token_and_every_document(
    tmp_path: Path, name: str, block: int | None, width: int, shard_tokens: int
) -> None:
    stream = stream_of(name, block, width=width, shard_tokens=shard_tokens)
    with going_wrong(0, Crash):
        sink = write_all(stream, tmp_path, size=17)
    check(stream, tmp_path)
    assert sum(shard["tokens"] for shard in sink.shards) == sum(map(len, stream.documents))
    told = {shard["path"] for shard in sink.shards} | {file["path"] for file in sink.files}
    told |= {file["path"] for shard in sink.shards for file in shard.get("index", ())}
    assert set(files_in(tmp_path)) == told
    assert all(FORMATS[name].owned.fullmatch(path) for path in told)


@examples(240)
@given(
    place=st.sampled_from(ALL),
    shard_tokens=st.integers(1, 12).map(lambda blocks: blocks * BLOCK),
    documents=st.lists(st.lists(st.integers(0, 50_000), max_size=60), min_size=1, max_size=25),
    val=st.sampled_from(["0", "0.1", "0.5"]),
    sizes=st.tuples(st.integers(1, 90), st.integers(1, 90)),
)
def test_files_do_not_depend_on_the_pieces(
    tmp_path_factory: pytest.TempPathFactory,
    place: tuple[str, int | None],
    shard_tokens: int,
    documents: list[list[int]],
    val: str,
    sizes: tuple[int, int],
) -> None:
    name, block = place
    written = []
    for size in sizes:
        folder = tmp_path_factory.mktemp("out")
        stream = stream_of(name, block, shard_tokens=shard_tokens, val=val)
        stream.documents = documents
        with going_wrong(0, Crash):
            write_all(stream, folder, size=size, checkpoint_seconds=1e9)
        check(stream, folder)
        written.append(files_in(folder))
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("name", "block"),
    [pytest.param(*each, marks=() if each in QUICK else pytest.mark.slow) for each in ALL],
)
@pytest.mark.parametrize("checkpoint_seconds", [0.0, pytest.param(1e9, marks=pytest.mark.slow)], ids=["often", "never"])
def test_a_crash_at_any_step_changes_nothing(
    tmp_path: Path, name: str, block: int | None, checkpoint_seconds: float
) -> None:
    stream = stream_of(name, block, shard_tokens=80)
    with going_wrong(0, Crash):
        write_all(stream, tmp_path / "whole", size=31)
    expected = files_in(tmp_path / "whole")
    for at in steps(one_in=4 if checkpoint_seconds else 8):
        folder = tmp_path / str(at)
        try:
            with going_wrong(at, Crash):
                write_all(stream, folder, size=31, checkpoint_seconds=checkpoint_seconds)
        except Crash:
            lose_what_was_not_synced(folder)
        else:
            break
        with going_wrong(0, Crash):
            write_all(stream, folder, size=29)
        assert files_in(folder) == expected, f"crash at step {at}"
        assert not list((folder / ".oomguard").glob("*.partial"))
    assert at > 10


@pytest.mark.parametrize(("name", "block"), [place for place in WITH_DOCUMENTS if not FORMATS[place[0]].one_file])
def test_a_shard_ends_with_the_document_that_fills_it(tmp_path: Path, name: str, block: int | None) -> None:
    stream = stream_of(name, block, val="0")
    with going_wrong(0, Crash):
        sink = write_all(stream, tmp_path, size=17)
    shards, held = [], 0
    for document in DOCUMENTS:
        held += len(document)
        if held >= 40:
            shards.append(held)
            held = 0
    shards += [held] if held else [0]  # the last, empty document stands alone
    assert [shard["tokens"] for shard in sink.shards] == shards


def test_arrow_is_what_pyarrow_writes(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    documents = [list(range(number % 37)) for number in range(2500)]
    for width, kind in ((2, pa.uint16()), (4, pa.uint32())):
        stream = Stream("arrow", shard_tokens=10**6, val_fraction="0", token_bytes=width, documents=documents)
        folder = tmp_path / str(width)
        write_all(stream, folder, size=1000, checkpoint_seconds=1e9)
        schema = pa.schema({"input_ids": pa.list_(kind)})
        with pa.OSFile(str(folder / "real"), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
            for first in range(0, 2500, 1000):
                rows = pa.array(documents[first : first + 1000], pa.list_(kind))
                writer.write_batch(pa.record_batch([rows], schema=schema))
        made = folder / "train" / "data-00000.arrow"
        assert made.read_bytes() == (folder / "real").read_bytes()
        with pa.memory_map(str(made)) as file:
            table = pa.ipc.open_stream(file).read_all()
            table.validate(full=True)
            assert table.column("input_ids").to_pylist() == documents


@pytest.mark.parametrize(("vocabulary", "width"), [(65_499, 2), (65_500, 4), (65_536, 4), (65_537, 4)])
def test_megatron_widens_where_its_builder_does(vocabulary: int, width: int) -> None:
    """DType.optimal_dtype(): uint16 below 65,500 only."""
    assert FORMATS["megatron"].token_bytes(vocabulary) == width
    others = {name: each.token_bytes(vocabulary) for name, each in FORMATS.items() if name != "megatron"}
    assert set(others.values()) == {2 if vocabulary <= 65_536 else 4}


def test_tokens_are_widened_on_the_way(tmp_path: Path) -> None:
    """An encoder that gives uint16, for a format that wants int32."""
    stream = stream_of("megatron", None)
    wide = stream_of("megatron", None)
    wide.token_bytes = 4
    from contextlib import closing

    from oomguard.preparation.writing.manifest import Manifest
    from oomguard.preparation.writing.token_sink import TokenSink

    with closing(Manifest(tmp_path)) as manifest:
        manifest.begin({}, restart=False)
        plan = wide.sink(tmp_path, manifest)._plan
        with closing(TokenSink(plan, manifest, val_fraction="0.3", checkpoint_seconds=9, encoded_bytes=2)) as sink:
            for piece in stream.pieces({}, 23):
                sink.take(piece)
            sink.finish()
    check(wide, tmp_path)


@pytest.mark.parametrize("name", ["litdata", "mds"])
def test_most_tokens_keep_offsets_in_32_bits(name: str) -> None:
    output = FORMATS[name]
    for width in (2, 4):
        most = output.most_tokens(width)
        layout = Layout(name="", token_bytes=width, shard_tokens=most, block_size=1)
        samples = most if name == "mds" else 1
        beside = 8 * samples + 1000 if name == "mds" else 0
        assert len(output.header(layout, most)) + most * width + beside < 2**32
        assert np.uint32(2**32 - 1) > most
