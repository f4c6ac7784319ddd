"""nanoGPT's train.bin and val.bin: the tokens and nothing else.

Source: nanoGPT data/openwebtext/prepare.py (writes), train.py get_batch() and estimate_loss() (read).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.preparation.writing.formats.base import OutputFormat, again, for_validation, no_train_file
from oomguard.preparation.writing.formats.stored import raw_shards
from oomguard.text import shell_word

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import FinishedSet, Layout
    from oomguard.preparation.writing.formats.stored import StoredShard

_BLOCK = 1024  # train.py's default block_size: get_batch() fails on a file that is no longer
_ENOUGH = 2 * _BLOCK  # validation tokens to ask for: documents are chosen by chance


class NanoGpt(OutputFormat):
    """One file a split."""

    name = "nanogpt"
    help = "train.bin and val.bin"
    owned = re.compile(r"(?:train|val)\.bin")
    one_file = True

    def file_name(self, layout: Layout, split: str, index: int) -> str:
        return f"{split}.bin"

    def notes(self, done: FinishedSet) -> list[str]:
        train, val = done.tokens("train"), done.tokens("val")
        if not train:
            return [no_train_file(done, "train.bin")]
        if not val:
            return [
                "there is no val.bin, which train.py reads at its first step; to get one: "
                + for_validation(done, _ENOUGH)
            ]
        short = [(split, tokens) for split, tokens in (("train", train), ("val", val)) if tokens <= _BLOCK]
        cures = {
            "train": "more text, or a smaller --block_size of train.py,",
            "val": for_validation(done, _ENOUGH),
        }
        return [
            f"only {tokens:,} {'validation' if split == 'val' else 'training'} tokens, and nanoGPT needs more than "
            f"{_BLOCK:,} (its block_size): {cures[split]} gives more"
            for split, tokens in short
        ]

    def next_lines(self, done: FinishedSet) -> list[str]:
        if not done.tokens("train"):
            return again(done, "--val-fraction 0.5 and two documents or more,")
        if not done.tokens("val") or (done.tokens("val") <= _BLOCK < done.tokens("train")):
            return again(done, for_validation(done, _ENOUGH))
        lines = [
            "next: in a nanoGPT checkout, with this folder as data/mine:",
            f"  ln -s {shell_word(done.folder)} data/mine",
            "  python train.py --dataset=mine",
        ]
        if done.layout.token_bytes == 4:
            lines.append(
                "tokens are uint32: train.py and sample.py read uint16: "
                "change np.uint16 to np.uint32 there, and vocab_size"
            )
        return lines

    def stored_shards(self, folder: Path, *, known: Layout | None) -> list[StoredShard]:
        return raw_shards(folder, "{split}.bin", token_bytes=known.token_bytes if known else 2)
