"""What an address names: the files, their sizes, and what tells their version. In a process of its own, which ends.

What talks to servers takes 20 MiB, which the coordinator need not carry for the whole run.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard import errors
from oomguard.errors import BadInput, OomguardError, WorkerFailed
from oomguard.kernel.prctl import die_with_parent
from oomguard.kernel.process import own_command
from oomguard.preparation.remote.cache import is_kept, keep, kept_address, kept_path
from oomguard.preparation.remote.stores import RemoteEntry, refuse_secrets
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FINDERS = {
    "s3": "s3:find_in_bucket", "gs": "gcs:find_in_google_bucket", "https": "web:find_on_web", "http": "web:find_on_web",
}  # fmt: skip


def list_remote(
    address: str, known: list[str], *, subset: str | None = None, cache: str | None = None
) -> list[RemoteEntry]:
    """Give the files that an address names; `known`: addresses of an earlier run, whose commit is kept.

    They may be paths in `cache`. `subset`: of a dataset on the Hub, as its card names it.
    Raises: OomguardError: BadInput, NothingFound, MissingExtra, Unreachable.
    """
    refuse_secrets(address)
    if cache is not None:
        folder = Path(os.path.realpath(cache))
        known = [kept_address(folder, path) or path for path in known]
    answer = _ask({"find": [address, known, subset]}, name=address)
    return [RemoteEntry(**entry) for entry in answer["files"]]


def keep_remote(files: Sequence[tuple[str, int, str]], folder: Path, *, fetch: bool) -> list[Path | None]:
    """Give where files, by address, size and pin, are in a cache; those that are not there are fetched, or None.

    None also for those without a pin, of which nobody could tell whether they are still the same.
    Raises: OomguardError.
    """
    if fetch:
        _ask({"keep": [list(files), str(folder)]}, name=files[0][0])
    paths = [kept_path(folder, address, pin) for address, _, pin in files]
    return [path if pin and is_kept(path, size) else None for path, (_, size, pin) in zip(paths, files, strict=True)]


def _ask(question: dict[str, Any], *, name: str) -> Any:
    """Have a helper of our own answer. Raises: what it raised."""
    run = subprocess.run(
        own_command("oomguard.preparation.remote.listing"),
        input=json.dumps({**question, "parent": os.getpid()}).encode(),
        stdout=subprocess.PIPE, check=False, process_group=0,  # Ctrl-C is the caller's to handle
    )  # fmt: skip
    if run.returncode:
        raise WorkerFailed(f"{printable(name)}: listing it ended with status {run.returncode}", do="see above")
    answer = json.loads(run.stdout)
    if "error" in answer:
        error = OomguardError(answer["what"], do=answer["do"])
        error.__class__ = getattr(errors, answer["error"], OomguardError)
        raise error
    return answer


def main() -> None:
    """Answer one question on standard input."""
    question = json.load(sys.stdin)
    die_with_parent(question["parent"])
    answer: dict[str, Any] = {}
    try:
        if "keep" in question:
            files, folder = question["keep"]
            keep([tuple(one) for one in files], Path(folder))
        else:
            answer = {"files": [asdict(entry) for entry in find(*question["find"])]}
    except OomguardError as error:
        answer = {"error": type(error).__name__, "what": str(error), "do": error.do}
    print(json.dumps(answer))


def find(address: str, known: list[str], subset: str | None) -> Iterator[RemoteEntry]:
    """Give the files of an address. Raises: as `list_remote`."""
    from oomguard.preparation.remote.hub import find_on_hub, is_hub_page

    refuse_secrets(address)
    if address.startswith("hf://") or is_hub_page(address):
        return find_on_hub(address, known, subset)
    if subset is not None:
        raise BadInput(
            f"{printable(address)}: --subset is only for a dataset on the Hub",
            do=f"oomguard prepare hf://datasets/OWNER/NAME --subset {shell_word(subset)}",
        )
    module, _, function = _FINDERS[address.partition("://")[0]].partition(":")
    find_there = getattr(importlib.import_module(f"oomguard.preparation.remote.{module}"), function)
    found: Iterator[RemoteEntry] = find_there(address)
    return found


if __name__ == "__main__":
    main()
