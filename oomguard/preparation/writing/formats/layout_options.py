"""What a person may ask of a format: tokens in a shard, tokens in a block, names. Checked and completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS

if TYPE_CHECKING:
    from oomguard.preparation.writing.formats.base import OutputFormat


LAST_SHARD = ("keep", "fold")


def find_format(name: str) -> OutputFormat:
    """Give the format called `name`. Raises: BadInput if there is none."""
    if name not in FORMATS:
        raise BadInput(f'unknown --format "{name}"', do=f"--format {' | '.join(FORMATS)}")
    return FORMATS[name]


def new_layout(
    output: OutputFormat,
    *,
    token_bytes: int,
    name: str | None,
    shard_tokens: int | None,
    block_size: int | None,
    tokenizer: str,
    last_shard: str = "keep",
) -> Layout:
    """Fill in what was left open (None).

    Raises: BadInput for a value that cannot be, naming one that can.
    """
    block = _block_size(output, block_size)
    if last_shard not in LAST_SHARD:
        raise BadInput(f'unknown --last-shard "{last_shard}"', do=f"--last-shard {' | '.join(LAST_SHARD)}")
    if last_shard == "fold" and output.one_file:
        raise BadInput(
            f"--last-shard fold: --format {output.name} is one file for each split, not shards",
            do="leave it out, or use --format npy or llmc",
        )
    return Layout(
        name=_name(output, name),
        token_bytes=token_bytes,
        shard_tokens=_shard_tokens(output, shard_tokens, block, token_bytes),
        block_size=block,
        tokenizer=tokenizer,
        fold_last=last_shard == "fold",
    )


def _block_size(output: OutputFormat, asked: int | None) -> int | None:
    if asked is None:
        return output.block_size
    if not output.takes_blocks:
        with_blocks = ", ".join(name for name, each in FORMATS.items() if each.takes_blocks)
        raise BadInput(
            f"--block-size: --format {output.name} has no blocks",
            do=f"leave it out, or use a format that has them: {with_blocks}",
        )
    if asked < 1:
        raise BadInput(f"--block-size {asked}: a block holds at least one token", do="--block-size 2048")
    return asked


def _shard_tokens(output: OutputFormat, asked: int | None, block: int | None, token_bytes: int) -> int | None:
    if output.one_file:
        if asked is not None:
            raise BadInput(
                f"--shard-tokens: --format {output.name} is one file for each split, not shards",
                do="leave it out, or use --format npy or llmc",
            )
        return None
    if asked is not None and asked < 1:
        raise BadInput(f"--shard-tokens {asked}: a shard holds at least one token", do="--shard-tokens 100000000")
    most, step = output.most_tokens(token_bytes), block or 1
    if asked is None:
        return max(step, min(output.shard_tokens, most) // step * step)
    if asked > most:
        raise BadInput(
            f"--shard-tokens {asked}: a shard of --format {output.name} holds {most:,} tokens of {token_bytes} bytes "
            "at most",
            do=f"--shard-tokens {most // step * step} or fewer",
        )
    if asked % step:
        raise BadInput(
            f"--shard-tokens {asked} is not a multiple of --block-size {step}, and blocks do not cross shards",
            do=f"--shard-tokens {max(1, asked // step) * step}",
        )
    return asked


def _name(output: OutputFormat, asked: str | None) -> str:
    name = output.default_name if asked is None else asked
    if asked is not None and not output.default_name:
        with_names = " or ".join(each.name for each in FORMATS.values() if each.default_name)
        raise BadInput(
            f"--name: the names of --format {output.name}'s files are fixed", do=f"leave it out, or use {with_names}"
        )
    if "/" in name or name.startswith(".") or not name.isprintable() or (not name and asked is not None):
        raise BadInput(f"--name {name!r} cannot begin a file name", do="--name edufineweb")
    if "train" in name or "val" in name:
        raise BadInput(
            f'--name "{name}": loaders tell the splits apart by the words "train" and "val" in the file name',
            do="--name edufineweb",
        )
    return name
