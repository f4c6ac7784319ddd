"""Web servers: one file an address."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from oomguard.errors import BadInput
from oomguard.preparation.remote.requesting import Client, ask_extent
from oomguard.preparation.remote.stores import RemoteEntry, Store
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator


def find_on_web(address: str) -> Iterator[RemoteEntry]:
    """Give the one file, after a question for its first byte. Raises: OomguardError."""
    name, parts = printable(address), urlsplit(address)
    if parts.query:
        without = parts._replace(query="").geturl()
        raise BadInput(
            f"{name}: an address with a query is read only if it is a link from the Hub's pages",
            do=f"oomguard prepare {shell_word(without)}",
        )
    size, pin = ask_extent(Client(name, Store()), address)
    if size is None:
        raise BadInput(
            f"{name}: the server does not say how long it is", do=f"curl -L {shell_word(address)} | oomguard prepare -"
        )
    yield RemoteEntry(address=address, size=size, pin=pin, named=True)
