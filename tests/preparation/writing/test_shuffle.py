"""Documents through buckets come out in the order of their hashes, whatever is cut, stopped or small on the way."""

import hashlib
import os
import random
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oomguard.errors import Changed, NotOurs
from oomguard.preparation.writing.buckets import Bucket, BucketWriter, Extent, buckets_in, place_of
from oomguard.preparation.writing.shuffled_pieces import Section, ShuffledPieces

MIB = 1 << 20
CHANCE = random.Random(3)
DOCUMENTS = [
    [CHANCE.randrange(50_000) for _ in range(CHANCE.choice([0, 1, 1, 2, 7, 40, 300]))] for _ in range(2000)
] + [[number % 50_000 for number in range(700_000)], [], [5]]
SEED = 7
# From the documentation of the order alone, so that it never becomes another one.
FIRST_OF_SEED_7 = "bebcdca6b598053fc5b509d89616d327"
FIRST_TEN = [2, 1, 3, 5, 0, 6, 9, 8, 7, 4]


def reference(count: int, seed: int) -> list[int]:
    """The order of documents: an independent and obvious way."""

    def place(number: int) -> bytes:
        key = seed.to_bytes(8, "little")
        return hashlib.blake2b(number.to_bytes(8, "little"), digest_size=16, key=key).digest()

    return sorted(range(count), key=place)


def data_of(tokens: Iterable[int]) -> memoryview:
    return memoryview(np.array(list(tokens), "<u2").tobytes())


def new_writer(folder: Path, *, bits: int = 3, seed: int = SEED, first_tokens: int = 0) -> BucketWriter:
    return BucketWriter(folder, "train", seed=seed, token_bytes=2, bits=bits, first_tokens=first_tokens)


def fill(
    writer: BucketWriter, cuts: Iterable[int], *, start: tuple[int, int] = (0, 0), stop: int | None = None
) -> tuple[int, int]:
    """Write pieces of these sizes from a token (and the documents before it) on; gives where it stopped."""
    flat = list(chain.from_iterable(DOCUMENTS))
    ends = np.cumsum([len(document) for document in DOCUMENTS]).tolist()
    token, document = start
    for size in cuts:
        if (token == len(flat) and document == len(ends)) or (stop is not None and token >= stop):
            break
        end = min(token + size, len(flat))
        after = document
        while after < len(ends) and ends[after] <= end:
            after += 1
        inside = [at - token for at in ends[document:after]]
        writer.write(data_of(flat[token:end]), inside, document)
        token, document = end, after
    return token, document


def sections(folder: Path, state: dict[str, Any]) -> list[Section]:
    return [
        Section(split="train", buckets=buckets_in(folder, f"t{part}", states))
        for part, states in state["buckets"].items()
        if states
    ]


def pour(
    folder: Path, state: dict[str, Any], *, room: int = 64 * MIB, when_done: Callable[[Bucket], None] = lambda _: None
) -> ShuffledPieces:
    return ShuffledPieces(sections(folder, state), token_bytes=2, room=room, when_done=when_done)


def documents_of(pieces: Iterable[Any]) -> list[list[int]]:
    tokens: list[int] = []
    ends: list[int] = []
    for piece in pieces:
        ends += [len(tokens) + end for end in piece.ends]
        tokens += np.frombuffer(piece.tokens, "<u2").tolist()
    assert not ends or ends[-1] == len(tokens)
    return [tokens[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


@pytest.fixture(scope="module")
def spool(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("spool")
    writer = new_writer(folder)
    fill(writer, [1 << 16] * 100)
    writer.finish()
    return folder, writer.sync()


def test_the_order_is_the_documented_one_for_ever() -> None:
    place = place_of(SEED)
    assert place(0).hex() == FIRST_OF_SEED_7
    assert sorted(range(1000), key=place) == reference(1000, SEED)
    assert reference(10, SEED) == FIRST_TEN
    assert sorted(range(1000), key=place_of((1 << 64) - 1)) == reference(1000, (1 << 64) - 1)


@pytest.mark.parametrize("bits", [0, 3, 6])
def test_documents_come_in_the_order_of_their_hashes(tmp_path: Path, bits: int) -> None:
    """Empty ones too, and one that is longer than all memory."""
    writer = new_writer(tmp_path, bits=bits)
    fill(writer, [1 << 16] * 100)
    writer.finish()
    expected = [DOCUMENTS[number] for number in reference(len(DOCUMENTS), SEED)]
    assert documents_of(pour(tmp_path, writer.sync()).pieces({})) == expected


@pytest.mark.parametrize("room", [1, 3000, 1 << 17, 1 << 30])
def test_any_room_gives_the_same(spool: tuple[Path, dict[str, Any]], room: int) -> None:
    """Down to one in which no document is held."""
    expected = [DOCUMENTS[number] for number in reference(len(DOCUMENTS), SEED)]
    assert documents_of(pour(*spool, room=room).pieces({})) == expected


def test_each_seed_gives_another_order(tmp_path: Path) -> None:
    orders = set()
    for seed in (0, 1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        writer = new_writer(folder, seed=seed)
        fill(writer, [1 << 20] * 100)
        writer.finish()
        made = documents_of(pour(folder, writer.sync()).pieces({}))
        assert sorted(made) == sorted(DOCUMENTS)
        orders.add(str([len(document) for document in made]))
    assert len(orders) == 3


def test_former_neighbours_are_uniformly_far_apart(tmp_path: Path) -> None:
    """The distance of two places drawn at random: less than x of all with probability 1 - (1 - x)^2."""
    count = 20_000
    writer = new_writer(tmp_path, bits=4)
    writer.write(data_of(number % 60_000 for number in range(count)), range(1, count + 1), 0)
    writer.finish()
    order = [document[0] for document in documents_of(pour(tmp_path, writer.sync()).pieces({}))]
    assert sorted(order) == list(range(count))
    place = np.empty(count)
    place[order] = np.arange(count)
    distances = np.sort(np.abs(np.diff(place)) / count)
    expected = 1 - (1 - distances) ** 2
    measured = np.arange(1, count) / (count - 1)
    assert np.abs(measured - expected).max() < 0.015  # Kolmogorov: one in ten thousand seeds is beyond
    assert abs(np.corrcoef(place[:-1], place[1:])[0, 1]) < 0.03


@pytest.mark.parametrize("seed", range(4))
def test_buckets_go_on_from_any_checkpoint(tmp_path: Path, spool: tuple[Path, dict[str, Any]], seed: int) -> None:
    """What was written behind it is written again; pieces may be cut elsewhere."""
    chance = random.Random(seed)
    total = sum(map(len, DOCUMENTS))
    stops = sorted(chance.randrange(total) for _ in range(6))
    at: tuple[int, int] = (0, 0)
    state: dict[str, Any] | None = None
    for stop in [*stops, total + 1]:
        writer = new_writer(tmp_path, bits=3 if state is None else 5)  # the number of buckets stays what it was
        if state is not None:
            writer.resume(state)
        at = fill(writer, iter(lambda: chance.choice([1000, 30_000, 300_000]), None), start=at, stop=stop)
        state = writer.sync()
        if stop <= total:
            fill(writer, [100_000] * 2, start=at)
            writer.sync()  # on disk, and in no manifest
    writer.finish()
    state = writer.sync()
    assert state == spool[1]


def test_pieces_go_on_from_any_position(spool: tuple[Path, dict[str, Any]]) -> None:
    """Also with more memory, or less, than the run had that was stopped, within a long document too."""
    expected = [DOCUMENTS[number] for number in reference(len(DOCUMENTS), SEED)]
    for room, then in ((1 << 15, 1 << 30), (1 << 30, 1 << 15)):
        before = []
        within = 0
        for number, piece in enumerate(pour(*spool, room=room).pieces({})):
            before.append(piece)
            within += piece.position["token"] > 0
            if number % 9 == 0 or piece.position["token"]:
                rest = list(pour(*spool, room=then).pieces(piece.position))
                assert documents_of([*before, *rest]) == expected
        assert within or room > then


def test_a_bucket_is_told_when_its_pieces_were_taken(tmp_path: Path) -> None:
    """So that its files can go: nothing reads them any more."""
    writer = new_writer(tmp_path, bits=2)
    fill(writer, [1 << 16] * 100)
    writer.finish()
    state = writer.sync()
    taken: list[Any] = []
    removed: list[int] = []

    def remove(bucket: Bucket) -> None:
        bucket.remove()
        removed.append(len(taken))

    pieces = pour(tmp_path, state, when_done=remove)
    for piece in pieces.pieces({}):
        taken.append(piece)
        if len(removed) == 2:
            break
    rest = list(pour(tmp_path, state).pieces(piece.position))
    assert documents_of([*taken, *rest]) == [DOCUMENTS[number] for number in reference(len(DOCUMENTS), SEED)]
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("suffix", ["tokens", "keys"])
@pytest.mark.parametrize("how", ["changed", "shorter", "gone"])
def test_a_bucket_that_is_not_as_it_was_left_is_refused(tmp_path: Path, suffix: str, how: str) -> None:
    writer = new_writer(tmp_path, bits=0)
    fill(writer, [1 << 16] * 100)
    writer.finish()
    state = writer.sync()
    file = tmp_path / f"tb000.{suffix}"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(data if how == "changed" else data[:-1])
    with pytest.raises(Changed):
        list(pour(tmp_path, state).pieces({}))
    with pytest.raises(Changed):
        new_writer(tmp_path, bits=0).resume(state)


@pytest.mark.parametrize("first_tokens", [1, 5000, 750_000, 10**9])
def test_where_the_first_tokens_are_for_validation_they_stay_first(tmp_path: Path, first_tokens: int) -> None:
    """Whole documents among themselves in the order of their hashes, and the one that goes on behind them last."""
    writer = new_writer(tmp_path, first_tokens=first_tokens)
    fill(writer, [1 << 16] * 100)
    writer.finish()
    made = documents_of(pour(tmp_path, writer.sync()).pieces({}))
    ends = np.cumsum([len(document) for document in DOCUMENTS])
    first = int(np.searchsorted(ends, first_tokens)) + 1  # so many begin there
    order = reference(len(DOCUMENTS), SEED)
    last = first - 1
    head = [number for number in order if number < first and number != last]
    head += [last] if last < len(DOCUMENTS) else []
    assert made == [DOCUMENTS[number] for number in [*head, *(number for number in order if number >= first)]]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_appends_nowhere_else_when_another_user_swaps_the_folder(tmp_path: Path) -> None:
    """Who may write to the folder above puts a folder of links in the place of root's, between two appends."""
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "spool").mkdir()
    extent = Extent(tmp_path / "spool/ta000.tokens")
    extent.append(b"first")
    (tmp_path / "spool").rename(tmp_path / "away")
    (tmp_path / "theirs").mkdir()
    os.link(tmp_path / "victim", tmp_path / "theirs/ta000.tokens")
    (tmp_path / "spool").symlink_to(tmp_path / "theirs")
    os.chown(tmp_path / "spool", 65534, 65534, follow_symlinks=False)
    with pytest.raises(NotOurs, match="belongs to"):
        extent.append(b"second")
    with pytest.raises(NotOurs, match="belongs to"):
        extent.sync()
    assert (tmp_path / "victim").read_text() == "kept"
