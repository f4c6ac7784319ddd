"""Words that several formats say: names for a shell, and what is wrong with a split."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from oomguard.text import shell_word

if TYPE_CHECKING:
    from oomguard.preparation.writing.formats.base import FinishedSet, Layout

_FRACTIONS = ("0.0005", "0.005", "0.01", "0.05", "0.1", "0.5")
_A_BATCH = 64 * 1024 * 8  # B x T x processes in the anchors' own scripts


def no_train_shard(done: FinishedSet) -> str:
    """What to do when everything is in the validation shard."""
    return (
        "everything fits in the first shard, which is for validation, and nothing is left to train on: "
        f"--shard-tokens {max(1, done.tokens('val') // 10)} or --val-fraction 0.01 gives both"
    )


def expect_no_train_shard(layout: Layout, *, first_is_val: bool, tokens: float) -> list[str]:
    """Say that about `tokens` tokens will all be in the first shard, where that is for validation."""
    full = layout.shard_tokens
    if not first_is_val or full is None or tokens > full:
        return []
    note = (
        f"about {round(tokens):,} tokens, and the first {full:,} (--shard-tokens) are for validation: nothing would be "
        f"left to train on; --shard-tokens {max(1, round(tokens) // 10)} or --val-fraction 0.01 gives both"
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
        return [f"{note}; take a smaller batch, fewer processes, or a larger --shard-tokens"]
    full = done.layout.shard_tokens or 0
    if len(shards) > 1 and shards[-1].tokens < full:
        total = sum(shard.tokens for shard in done.shards)
        even = -(-total // len(done.shards))
        if shards[-2].tokens + shards[-1].tokens <= _A_BATCH:
            return [f"{note}; take a smaller batch, or fewer processes"]
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
