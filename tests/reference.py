"""The slow, obvious way that fast code is compared with: tiktoken on each whole document."""

import base64
import os
from functools import cache
from pathlib import Path

import pytest
import tiktoken
from tiktoken_ext import openai_public

import oomguard

SHIPPED = Path(oomguard.__file__).parent / "preparation/encoding/vocab"

# One or more of each Unicode class that the split patterns tell apart, and what is known to trip tokenizers.
CHARACTERS = [
    *"aZéßñЖя中文字かカ가ก", "ǅ", "ʰ", "ª", "İ", "ſ", "K", "ा", "ำ", "\u0301", "\u20e3", "\ufe0f",
    *"0179", "٣", "²", "½", "Ⅷ", *" \t\n\r\v\f", "\x85", "\u00a0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000",
    *".,!?-_/*'\"()[]{}<>|#@\\", "，", "。", "「", "’", "…", "€", "+", "😀", "👨\u200d👩\u200d👧", "🇩🇪", "\ufeff", "\u200d",
    "\0", "\x1c", "\x7f", "\ufffd", "\U0010ffff", "\ue000", "'s", "'S", "'ll", "'LL", "'re", "'t", "'ſ", "<|endoftext|>",
    "  ", "   ", "\n\n", "\r\n", "\r\n\r\n", " \n", "\n ", "\t\t", "hello", "World", "123", "1234567", "...", "://", "\n/",
]  # fmt: skip


@cache
def encoding_of(name: str) -> tiktoken.Encoding:
    """tiktoken's own encoding from a rank file on disk, so that no test needs the network."""
    file = SHIPPED / f"{name}.tiktoken"
    if not file.exists():
        if "OOMGUARD_DATA" not in os.environ:
            pytest.skip(f"needs {name}.tiktoken: set OOMGUARD_DATA to a folder with vocab/{name}.tiktoken")
        file = Path(os.environ["OOMGUARD_DATA"], "vocab", file.name)
    ranks = {base64.b64decode(word): int(rank) for word, rank in map(bytes.split, file.read_bytes().splitlines())}
    return tiktoken.Encoding(name, pat_str=pattern_of(name), mergeable_ranks=ranks, special_tokens={})


def pattern_of(name: str) -> str:
    """tiktoken's own split pattern: its constructor is asked, with the download of the ranks left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
        return str(getattr(openai_public, name)()["pat_str"])
