"""A vocabulary block on disk is used only if nobody else could have written it, and it is whole."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import oomguard
from oomguard.preparation.encoding.block_cache import default_cache, open_vocabulary
from oomguard.preparation.encoding.native import Vocabulary
from tests.preparation.encoding.core_texts import vocabulary_of

RANKS = Path(oomguard.__file__).parent / "preparation/encoding/vocab/r50k_base.tiktoken"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """One entry for each block that was built."""
    vocabulary_of(RANKS)  # skips where the core is not built
    calls: list[bytes] = []
    build = Vocabulary.build

    def counted(ranks: bytes) -> Vocabulary:
        calls.append(ranks)
        return build(ranks)

    monkeypatch.setattr(Vocabulary, "build", counted)
    return calls


def kept(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_block_is_built_once_and_then_mapped(built: list[bytes], tmp_path: Path) -> None:
    first = open_vocabulary(RANKS, cache=tmp_path / "cache")
    again = open_vocabulary(RANKS, cache=tmp_path / "cache")
    assert len(built) == 1
    assert bytes(first.block) == bytes(again.block) == bytes(Vocabulary.build(RANKS.read_bytes()).block)
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
    assert kept(tmp_path / "cache").stat().st_mode & 0o777 == 0o600


def _flip(folder: Path) -> None:
    file = kept(folder)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _truncate(folder: Path) -> None:
    os.truncate(kept(folder), kept(folder).stat().st_size - 4096)


def _link(folder: Path) -> None:
    file = kept(folder)
    file.rename(folder.parent / "elsewhere")
    file.symlink_to(folder.parent / "elsewhere")


def _fifo(folder: Path) -> None:
    file = kept(folder)
    file.unlink()
    os.mkfifo(file, 0o600)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a bit": _flip,
    "cut off": _truncate,
    "a link": _link,
    "a pipe": _fifo,
    "file writable by others": lambda folder: kept(folder).chmod(0o602),
    "folder writable by the group": lambda folder: folder.chmod(0o770),
    "somebody else's": lambda folder: os.chown(kept(folder), 65534, 65534),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_somebody_else_could_have_written_is_not_used(damage: str, built: list[bytes], tmp_path: Path) -> None:
    if damage == "somebody else's" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    folder = tmp_path / "cache"
    good = bytes(open_vocabulary(RANKS, cache=folder).block)
    DAMAGES[damage](folder)
    assert bytes(open_vocabulary(RANKS, cache=folder).block) == good
    assert len(built) == 2


@pytest.mark.parametrize("place", ["a file", "a link"])
def test_without_a_folder_of_ours_it_is_built_in_memory(place: str, built: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    if place == "a file":
        folder.write_bytes(b"")
    else:
        (tmp_path / "real").mkdir()
        folder.symlink_to(tmp_path / "real")
    for _ in range(2):
        assert open_vocabulary(RANKS, cache=folder).size
    assert len(built) == 2
    assert not (tmp_path / "real").exists() or not list((tmp_path / "real").iterdir())


def test_a_full_disk_leaves_nothing_behind(built: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert open_vocabulary(RANKS, cache=tmp_path / "cache").size
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_folder_is_xdgs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache() == Path("/x/oomguard")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert default_cache() == Path("/home/me/.cache/oomguard")
    monkeypatch.setenv("HOME", "")
    assert default_cache() is None


@pytest.mark.parametrize(
    ("ranks", "wrong"),
    [
        (b"IQ== 0\nIg==1\n", "line 2"),
        (b"IQ== x\n", "line 1"),
        (b"I 0\n", "line 1"),
        (b"", "line 1"),
        (b"IQ== 0\n", "a byte has no token"),
        (b"IQ== 0\nIQ== 1\n", "a token is given twice"),
        (b"IQ== 0\nIg== 0\n", "a rank is given twice"),
        (b"IQ== 1048576\n", "line 1"),
    ],
)
def test_what_is_no_rank_file_is_refused(ranks: bytes, wrong: str) -> None:
    vocabulary_of(RANKS)
    with pytest.raises(ValueError, match=wrong):
        Vocabulary.build(ranks)


def test_a_block_of_another_version_is_refused() -> None:
    block = bytearray(vocabulary_of(RANKS).block)
    block[0] ^= 1
    with pytest.raises(ValueError, match="version"):
        Vocabulary(memoryview(bytes(block)))
