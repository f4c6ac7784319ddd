"""Tokenizer files of the Hugging Face Hub: from its cache, else fetched by huggingface_hub."""

from __future__ import annotations

from pathlib import Path

from oomguard.errors import MissingExtra, NothingFound
from oomguard.text import printable

_NAMES = ("tokenizer.json", "tekken.json")


def fetch_tokenizer(repository: str, revision: str | None) -> Path:
    """Give the file on this machine, which the Hub's cache keeps by its commit.

    Raises: NothingFound if it is not in the cache and cannot be fetched.
    """
    where = printable(repository if revision is None else f"{repository}@{revision}")
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        what = "there is no such file here, and a name on the Hub needs huggingface_hub, which is not installed"
        raise MissingExtra(f"{where}: {what}", "hub") from error
    failed: Exception | None = None
    for only_cached in (True, False):
        for name in _NAMES:
            try:
                return Path(hf_hub_download(repository, name, revision=revision, local_files_only=only_cached))
            except Exception as error:  # noqa: BLE001 - it has a dozen ways to fail, most of them its HTTP client's
                failed = failed if only_cached or name != _NAMES[0] else error
    what = " ".join(str(failed).split()) or type(failed).__name__
    raise NothingFound(
        f"{where} has no tokenizer.json in the Hub's cache, and none could be fetched: {printable(what[:200])}",
        do=f"huggingface-cli download {printable(repository)} tokenizer.json, or --tokenizer FILE",
    ) from failed
