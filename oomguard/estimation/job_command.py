"""The command line of `prepare` that means given options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.preparation.options import PrepareOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def job_command(
    options: PrepareOptions, max_rss: int | None, inputs: Sequence[str], out: Path, *more: str,
    val: str | None = None, input_format: str | None = None,
) -> tuple[str, ...]:  # fmt: skip
    """The command line of `prepare` with these options: only those that are not the defaults."""
    default = PrepareOptions()
    flags: list[str] = ["--out", str(out)]
    names = (
        "subset", "format", "encoding", "tokenizer", "pattern", "eot_token", "workers", "shard_tokens", "block_size",
        "val_fraction", "name", "separator", "text_field", "input_format", "input_encoding", "eot", "errors",
        "bad_files", "newlines", "verify", "shuffle",
    )  # fmt: skip
    instead = {"val_fraction": val, "input_format": input_format}
    for name in names:
        value = instead.get(name) or getattr(options, name)
        if value != getattr(default, name):
            for one in value if isinstance(value, tuple) else (value,):
                flags += [f"--{name.replace('_', '-')}", str(one)]
    limit = ["run", "--max-rss", f"{max_rss}B"] if max_rss is not None and max_rss % (1 << 20) else None
    if limit is None and max_rss is not None:
        limit = ["run", "--max-rss", f"{max_rss >> 20}M"]
    dashes = ("--",) if any(name.startswith("-") for name in inputs) else ()
    return ("oomguard", *(limit or ()), "prepare", *flags, *more, *dashes, *inputs) if dashes else (
        "oomguard", *(limit or ()), "prepare", *inputs, *flags, *more
    )  # fmt: skip
