"""The flags that name a tokenizer, as `plan`, `prepare`, `inspect` and `convert` have them."""

from __future__ import annotations

import typer

from oomguard.cli.commands import choice

ENCODINGS = ("gpt2", "r50k_base", "p50k_base", "cl100k_base", "o200k_base")

ENCODING = choice(ENCODINGS, "The tokenizer.")
TOKENIZER = typer.Option(
    metavar="FILE|NAME",
    help="In place of --encoding: a tokenizer.json, tekken.json or .tiktoken file, or a model on the Hub.",
)
PATTERN = typer.Option(
    metavar="NAME",
    help="How a .tiktoken file's text is split: "
    "r50k | cl100k | llama3 | qwen | qwen3.5 | o200k | tekken. Known files need none.",
)
EOT_TOKEN = typer.Option(metavar="NAME|ID", help="The token between documents. Default: the tokenizer's end-of-text.")
