"""What an output format is: the contract that each module of this package keeps.

A shard is written as a stream of tokens, in order, and where documents matter as a second stream of their ends. Most
formats are a header, then the tokens as they came (`header`), with small files beside them (`index_files`). The others
(`is_built`) are built from the stored tokens once a shard is full (`content`). Files that speak of all shards of a
split (`split_files`) are written at the end of a run.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, Protocol

from oomguard.records import dataclass
from oomguard.text import shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from re import Pattern
    from typing import Any

    from oomguard.preparation.writing.formats.stored import StoredShard


EotPlace = Literal["before", "after", "none"]
MOST_UINT16 = 1 << 16
_BLOCK_SIZE = 2048
_STRETCH = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the shards of one run are to be."""

    name: str  # what their names begin with; empty where that cannot be chosen
    token_bytes: int  # 2 (uint16) or 4 (uint32 or int32), little-endian
    shard_tokens: int | None = None  # None: one file a split
    block_size: int | None = None  # tokens in a block; None: no blocks
    tokenizer: str = ""  # its name, where a format has room for it
    fold_last: bool = False  # a last shard that is not full joins the one before it


class OpenShard(Protocol):
    """A shard whose tokens are all on disk, in order, and that is about to be finished."""

    @property
    def split(self) -> str:
        """The split that it belongs to."""
        ...

    @property
    def index(self) -> int:
        """Its number in its stream."""
        ...

    @property
    def tokens(self) -> int:
        """How many it has."""
        ...

    @property
    def documents(self) -> int:
        """How many end in it."""
        ...

    def ends(self) -> Iterator[Sequence[int]]:
        """Where its documents end, in tokens from the shard's beginning, in stretches of some thousands."""
        ...

    def data(self, start: int, stop: int) -> Iterator[bytes]:
        """Its tokens from `start` to `stop`, as stored, in stretches of up to a MiB."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedShard:
    """What is known of a shard that has its name."""

    path: str  # in the output folder
    split: str
    tokens: int

    @staticmethod
    def of(shard: dict[str, Any]) -> FinishedShard:
        """From a line of the manifest."""
        return FinishedShard(path=shard["path"], split=shard["split"], tokens=shard["tokens"])


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedSet:
    """A finished run, as far as its notes and its next command depend on it."""

    folder: str
    shards: tuple[FinishedShard, ...]
    layout: Layout
    vocabulary_size: int
    eot: int
    documents: int | None = None  # None: not known
    is_divisible: bool = False  # its texts are divided between training and validation
    is_converted: bool = False  # and not prepared here
    is_undivided: bool = False  # of one text whose end was not known before it came: a pipe, a compressed file

    def of(self, split: str) -> tuple[FinishedShard, ...]:
        """The shards of a split."""
        return tuple(shard for shard in self.shards if shard.split == split)

    def tokens(self, split: str) -> int:
        """The tokens of a split."""
        return sum(shard.tokens for shard in self.of(split))


class OutputFormat(Protocol):
    """One output format. What stands here is what holds for most of them."""

    name: str
    help: str  # one line, for --help
    owned: Pattern[str]  # the names of all files that a run makes: no other file is ever taken for one
    default_name: str = ""  # what names begin with; empty: they cannot be chosen
    one_file: bool = False  # a split is one file, whatever its size
    shard_tokens: int = 10**8  # by default
    val_fraction: str | None = "0.0005"  # by default; None: the whole first shard is for validation
    folders: bool = False  # each split has a folder of its own, since loaders read whole folders
    keeps_documents: bool = False  # it says where documents end, and a shard ends with one
    is_built: bool = False  # a shard's file is built from the stored tokens when the shard is full
    block_size: int | None = None  # by default; None: a document a row, or no blocks at all
    takes_blocks: bool = False

    def end_of_text(self, family: str) -> EotPlace:
        """Where the end-of-text token stands by default, for a family of tokenizers."""
        return "after"

    def writes_documents(self, layout: Layout) -> bool:
        """Whether shards laid out so know their documents."""
        return self.keeps_documents and layout.block_size is None

    def token_bytes(self, vocabulary_size: int) -> int:
        """Bytes of a token on disk, for ids below `vocabulary_size`."""
        return 2 if vocabulary_size <= MOST_UINT16 else 4

    def most_tokens(self, token_bytes: int) -> int:
        """The most tokens that a shard (of a one-file format: a document) may hold."""
        return 1 << 62

    def first_index(self, split: str, *, by_document: bool) -> int:
        """The number of a split's first shard."""
        return 0

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        """The name of a shard's file in the output folder."""
        ...

    def header(self, layout: Layout, tokens: int) -> bytes:
        """The bytes before the tokens; of the same size whatever the number of tokens."""
        return b""

    def content(self, layout: Layout, shard: OpenShard) -> Iterator[bytes]:
        """The bytes of a shard's file, for a format that `is_built`; else the tokens as they are stored."""
        return shard.data(0, shard.tokens)

    def index_files(self, layout: Layout, shard: OpenShard) -> Iterator[tuple[str, Iterator[bytes]]]:
        """The files beside a shard's file: name in the output folder, and content."""
        return iter(())

    def split_files(self, layout: Layout, split: str, shards: Sequence[FinishedShard]) -> dict[str, bytes]:
        """The files that speak of all shards of a split."""
        return {}

    def notes(self, done: FinishedSet) -> list[str]:
        """What the user must know before a loader finds out."""
        ...

    def next_lines(self, done: FinishedSet) -> list[str]:
        """The next command, which works as it stands; it names no file that is not there."""
        ...

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        """The shards of this format in a folder, whoever wrote them; train before val, each in order. Empty: none.

        `known` is what a manifest says, for what a format does not say itself.
        Raises: BadInput for a file of this format that is damaged.
        """
        ...


# Rows of a fixed number of tokens, which know no documents.


def block_ends(tokens: int, block_size: int) -> Iterator[Sequence[int]]:
    """Where blocks end; the last one may be shorter."""
    whole = tokens // block_size
    for first in range(0, whole, _STRETCH):
        yield range((first + 1) * block_size, min(first + _STRETCH, whole) * block_size + 1, block_size)
    if tokens % block_size:
        yield [tokens]


def tail_note(done: FinishedSet, what: str) -> list[str]:
    """Say what became of the tokens behind a split's last whole block."""
    size = done.layout.block_size
    if size is None:
        return []
    tails = {split: sum(shard.tokens % size for shard in done.of(split)) for split in ("train", "val")}
    told = ", ".join(f"{tail:,} tokens of {split}" for split, tail in tails.items() if tail)
    return [f"after the last whole block of {size:,}: {told}, {what}"] if told else []


# Words that several formats say: names for a shell, and what is wrong with a split.


_FRACTIONS = ("0.0005", "0.005", "0.01", "0.05", "0.1", "0.5")
_A_BATCH = 64 * 1024 * 8  # B x T x processes in the anchors' own scripts


def no_train_shard(done: FinishedSet) -> str:
    """What to do when everything is in the validation shard."""
    return (
        "everything fits in the first shard, which is for validation, and nothing is left to train on: "
        f"either --shard-tokens {max(1, done.tokens('val') // 10)} or --val-fraction 0.01 leaves tokens for both "
        "training and validation"
    )


def expect_no_train_shard(layout: Layout, *, first_is_val: bool, tokens: float) -> list[str]:
    """Say that about `tokens` tokens will all be in the first shard, where that is for validation."""
    full = layout.shard_tokens
    if not first_is_val or full is None or tokens > full:
        return []
    note = (
        f"about {round(tokens):,} tokens, and the first {full:,} (--shard-tokens) are for validation: nothing would be "
        f"left to train on; either --shard-tokens {max(1, round(tokens) // 10)} or --val-fraction 0.01 leaves tokens "
        "for both training and validation"
    )
    return [note]


def no_train_file(done: FinishedSet, name: str) -> str:
    """What to do when the only documents there are were chosen for validation."""
    return (
        f"there is no {name}: the {done.tokens('val'):,} tokens are all for validation "
        "(with --val-fraction the first document always is); --val-fraction 0 trains on all of them"
    )


def again(done: FinishedSet, flags: str) -> list[str]:
    """The next command where none can train yet."""
    if done.is_converted:
        return [
            "next: nothing can be trained on this yet; prepare the source of the conversion again, with",
            f"  {flags}",
        ]
    return ["next: nothing can be trained on this yet; run the same command again, with", f"  {flags} --restart"]


def for_validation(done: FinishedSet, least: int) -> str:
    """What it takes for more than `least` validation tokens, where there are none."""
    total = done.tokens("train")
    fraction = next((one for one in _FRACTIONS if float(one) * total > least), None)
    if done.is_undivided:  # one from a pipe, or compressed: its end is not known before it comes
        return f"--separator TEXT (what stands between its documents) --val-fraction {fraction or '0.5'}"
    if done.documents == 1 and not done.is_divisible:
        return f"two documents or more, and --val-fraction {fraction or '0.5'}"
    return f"--val-fraction {fraction}" if fraction else "more text, and --val-fraction 0.5"


def short_last_shard(done: FinishedSet, loaders: str) -> list[str]:
    """Say when the last train shard is too short for a batch, and how to cut so that it is not."""
    shards = done.of("train")
    if not shards or shards[-1].tokens > _A_BATCH:
        return []
    longest = max(shard.tokens for shard in shards)
    all_short = len(shards) > 1 and longest <= _A_BATCH
    which = f"the last train shard has {shards[-1].tokens:,} tokens"
    if all_short:
        which = f"all train shards have {longest:,} tokens or fewer"
    note = (
        f"{which}: {loaders} on a shard with fewer than "
        f"B x T x processes + 1 tokens ({_A_BATCH + 1:,} with 64 x 1,024 x 8)"
    )
    if all_short:
        return [f"{note}; use a smaller batch, fewer processes, or a larger --shard-tokens"]
    full = done.layout.shard_tokens or 0
    if len(shards) > 1 and shards[-1].tokens < full:
        total = sum(shard.tokens for shard in done.shards)
        even = -(-total // len(done.shards))
        if shards[-2].tokens + shards[-1].tokens <= _A_BATCH:
            return [f"{note}; use a smaller batch, or fewer processes"]
        note += "; --last-shard fold adds it to the shard before"
        if even > _A_BATCH:
            note += f", --shard-tokens {even} makes all shards even"
    return [note]


def python_line(*statements: str) -> str:
    """A command that runs some statements of Python."""
    return f"  python -c {shell_word('; '.join(statements))}"


def quoted(text: str) -> str:
    """A string of Python source in double quotes, which a shell's single quotes may stand around."""
    return json.dumps(text)
