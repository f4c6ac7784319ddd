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
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oomguard import errors
from oomguard.errors import BadInput, OomguardError, WorkerFailed
from oomguard.kernel.process.commands import own_command
from oomguard.kernel.process.prctl import die_with_parent
from oomguard.preparation.remote.finding import RemoteEntry
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKETS = {"s3": "s3:find_in_bucket", "gs": "gcs:find_in_google_bucket"}


def list_remote(address: str, known: list[str], *, subset: str | None = None) -> list[RemoteEntry]:
    """Give the files that an address names; `known`: addresses of an earlier run, whose commit is kept.

    `subset`: of a data set on the Hub, as its card names it.
    Raises: OomguardError: BadInput, NothingFound, MissingExtra, Unreachable.
    """
    run = subprocess.run(
        own_command("oomguard.preparation.remote.listing"),
        input=json.dumps([address, known, subset, os.getpid()]).encode(),
        stdout=subprocess.PIPE, check=False, process_group=0,  # Ctrl-C is the caller's to handle
    )  # fmt: skip
    if run.returncode:
        raise WorkerFailed(f"{printable(address)}: listing it ended with status {run.returncode}", do="see above")
    answer = json.loads(run.stdout)
    if "error" in answer:
        error = OomguardError(answer["what"], do=answer["do"])
        error.__class__ = getattr(errors, answer["error"], OomguardError)
        raise error
    return [RemoteEntry(**entry) for entry in answer["files"]]


def main() -> None:
    """Answer one question on standard input."""
    address, known, subset, parent_pid = json.load(sys.stdin)
    die_with_parent(parent_pid)
    try:
        answer: dict[str, Any] = {"files": [asdict(entry) for entry in find(address, known, subset)]}
    except OomguardError as error:
        answer = {"error": type(error).__name__, "what": str(error), "do": error.do}
    print(json.dumps(answer))


def find(address: str, known: list[str], subset: str | None) -> Iterator[RemoteEntry]:
    """Give the files of an address. Raises: as `list_remote`."""
    from oomguard.preparation.remote.hub import find_on_hub, is_hub_page

    if address.startswith("hf://") or is_hub_page(address):
        return find_on_hub(address, known, subset)
    if subset is not None:
        raise BadInput(
            f"{printable(address)}: --subset is of a data set on the Hub",
            do=f"oomguard prepare hf://datasets/OWNER/NAME --subset {shell_word(subset)}",
        )
    if address.startswith("http"):
        return find_on_web(address)
    module, _, function = _BUCKETS[address.partition("://")[0]].partition(":")
    find_there = getattr(importlib.import_module(f"oomguard.preparation.remote.{module}"), function)
    found: Iterator[RemoteEntry] = find_there(address)
    return found


def find_on_web(address: str) -> Iterator[RemoteEntry]:
    """Give the one file, after a question for its first byte. Raises: OomguardError."""
    from oomguard.preparation.remote.requesting import Client, ask_extent
    from oomguard.preparation.remote.stores import Store

    name, parts = printable(address), urlsplit(address)
    if parts.username or parts.password or parts.query:
        raise BadInput(
            f"{parts.scheme}://{printable(parts.hostname or '')}{printable(parts.path)}: an address with a password or "
            "a query may hold a secret, and inputs are written down in the manifest",
            do="put user and password into ~/.netrc; or curl ADDRESS | oomguard prepare -",
        )
    size, pin = ask_extent(Client(name, Store()), address)
    if size is None:
        raise BadInput(f"{name}: the server does not say how long it is", do=f"curl -L {name} | oomguard prepare -")
    yield RemoteEntry(address=address, size=size, pin=pin, named=True)


if __name__ == "__main__":
    main()
