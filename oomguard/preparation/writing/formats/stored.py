"""Shards as they lie on disk, read in stretches: for `inspect` and `convert`."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Protocol

from oomguard.errors import BadInput
from oomguard.kernel.plain_files import open_input
from oomguard.records import dataclass
from oomguard.text import printable, shell_word
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import Any

    import numpy as np
    import numpy.typing as npt

    Tokens = npt.NDArray[np.integer[Any]]
    Ends = npt.NDArray[np.int64]

SPLITS = ("train", "val")


class StoredShard(Protocol):
    """One shard: its tokens, and where its documents end if its format says so."""

    @property
    def path(self) -> Path:
        """The file with the tokens."""
        ...

    @property
    def split(self) -> str:
        """Which it belongs to: train or val."""
        ...

    @property
    def dtype(self) -> str:
        """NumPy's name of the tokens' type."""
        ...

    @property
    def tokens(self) -> int:
        """How many there are."""
        ...

    @property
    def has_ends(self) -> bool:
        """Whether it is known where documents end."""
        ...

    def pieces(self) -> Iterator[tuple[Tokens, Ends]]:
        """Its tokens in stretches of up to a MiB, and the document ends in each: tokens from the stretch's start."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RawShard:
    """Tokens that lie in a file as they are."""

    path: Path
    split: str
    dtype: str
    extents: tuple[tuple[int, int], ...]  # where tokens are: byte, number of tokens
    ends: Callable[[], Iterator[Sequence[int] | Ends]] | None = None  # of its documents, from the shard's beginning

    @property
    def tokens(self) -> int:
        """How many there are."""
        return sum(count for _, count in self.extents)

    @property
    def has_ends(self) -> bool:
        """Whether it is known where documents end."""
        return self.ends is not None

    def pieces(self) -> Iterator[tuple[Tokens, Ends]]:
        """Raises: BadInput if the file is shorter than it says, or its documents are longer than its tokens."""
        import numpy as np

        at, ends = 0, OrderedEnds(self.ends() if self.ends else iter(()))
        dtype = np.dtype(self.dtype)
        with os.fdopen(open_input(str(self.path)), "rb") as file:
            for start, count in self.extents:
                file.seek(start)
                left = count
                while left:
                    data = file.read(min(left * dtype.itemsize, MIB))
                    if len(data) < dtype.itemsize or len(data) % dtype.itemsize:
                        raise unreadable(self.path, " ends before its tokens do")
                    tokens = np.frombuffer(data, dtype)
                    yield tokens, ends.up_to(at + len(tokens)) - at
                    at += len(tokens)
                    left -= len(tokens)
        rest = ends.up_to(1 << 62)
        if len(rest) and rest[-1] > at:
            raise unreadable(self.path, ": its documents have more tokens than there are", "ls -l FILE*")
        if len(rest):  # empty documents of a shard without tokens
            yield np.empty(0, dtype), rest - at


class OrderedEnds:
    """Document ends in order, asked for by position."""

    def __init__(self, stretches: Iterator[Sequence[int] | Ends]) -> None:
        """Take them as stretches, each of some thousands."""
        import numpy as np

        self._stretches = stretches
        self._known: Ends = np.empty(0, np.int64)

    def up_to(self, position: int) -> Ends:
        """Take the ends that are not behind `position`."""
        import numpy as np

        while not len(self._known) or self._known[-1] <= position:
            more = next(self._stretches, None)
            if more is None:
                break
            self._known = np.concatenate([self._known, np.asarray(more, np.int64)])
        count = int(np.searchsorted(self._known, position, side="right"))
        taken, self._known = self._known[:count], self._known[count:]
        return taken


def raw_shards(folder: Path, pattern: str, *, token_bytes: int) -> list[StoredShard]:
    """One file a split, without a header."""
    found = [(folder / pattern.format(split=split), split) for split in SPLITS]
    return [raw_shard(path, split, f"<u{token_bytes}") for path, split in found if path.is_file()]


def unreadable(path: Path, what: str, command: str = "ls -l FILE") -> BadInput:
    """What is wrong with a file of a shard; FILE in the command stands for its name."""
    return BadInput(f"{printable(str(path))}{what}", do=command.replace("FILE", shell_word(str(path))))


def raw_shard(
    path: Path, split: str, dtype: str, ends: Callable[[], Iterator[Sequence[int] | Ends]] | None = None
) -> RawShard:
    """A file that is nothing but tokens. Raises: BadInput for an odd size."""
    width, size = int(dtype[-1]), path.stat().st_size
    if size % width:
        raise unreadable(path, f" has {size:,} bytes, which is not a whole number of tokens of {width} bytes")
    return RawShard(path=path, split=split, dtype=dtype, extents=((0, size // width),), ends=ends)


def numbered_files(folder: Path, suffix: str) -> list[tuple[Path, str]]:
    """The files called NAME_train_000001 and so on: train before val, each in the order of its numbers."""
    pattern = re.compile(rf".*_(train|val)_([0-9]+){re.escape(suffix)}")
    found = [(path, match) for path in folder.iterdir() if (match := pattern.fullmatch(path.name)) and path.is_file()]
    found.sort(key=lambda item: (SPLITS.index(item[1][1]), int(item[1][2]), item[0].name))
    return [(path, match[1]) for path, match in found]


def split_folders(folder: Path) -> list[tuple[Path, str]]:
    """The folders of a set's splits; a folder that is itself the set of one split counts as "train"."""
    named = [(folder / split, split) for split in SPLITS if (folder / split).is_dir()]
    return named or [(folder, "train")]
