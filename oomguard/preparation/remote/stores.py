"""The kinds of servers that inputs are on: what differs between them. Each has a module; here is what they share.

A store says where a file of an address is, what tells the server who asks, and what a refusal means.
"""

from __future__ import annotations

import importlib
from typing import Any

from oomguard.errors import NothingFound, OomguardError, Unreachable

_KINDS = {"hf": "hub:Hub", "s3": "s3:S3", "gs": "gcs:Gcs"}


class Store:
    """A web server, and what is common to all."""

    who = "the server"
    check = "check the address"
    login = "put the user and the password for that host into ~/.netrc"
    has_secret = False  # it is told who asks by what `secret` gives, and not by ~/.netrc

    def url(self, address: str, pin: str) -> str:  # noqa: ARG002 - of others
        """Where the bytes of a pinned file are."""
        return address

    def secret(self, url: str) -> dict[str, str]:  # noqa: ARG002
        """Headers that say who asks; they go to the host of the address, and to none that it redirects to."""
        return {}

    def sign(self, method: str, url: str, headers: dict[str, str], data: Any) -> dict[str, str]:  # noqa: ARG002
        """Headers that say who sends this request; some stores have them of each."""
        return self.secret(url)

    def elsewhere(self, url: str, answer: Any) -> str | None:  # noqa: ARG002
        """Where the same store has it, as an answer says; None: the answer is what was asked for, or a redirect."""
        return None

    def tag(self, pin: str) -> str:
        """The ETag that the server gives for a file of this pin; empty: not known."""
        return pin

    def hash(self, pin: str) -> str:  # noqa: ARG002
        """The hash of the file's bytes, in hexadecimal; empty: not known."""
        return ""

    def refusal(self, name: str, status: int, headers: Any, body: bytes) -> OomguardError:  # noqa: ARG002
        """Say why the server gives nothing."""
        if status in (401, 403):
            return Unreachable(f"{name} may not be read ({self.who} answers {status})", do=self.login)
        if status in (404, 410):
            return NothingFound(f"{name} is not there ({self.who} answers {status})", do=self.check)
        return Unreachable(f"{name} cannot be read: {self.who} answers {status}", do=self.check)


def open_store(address: str) -> Store:
    """Give the store that an address is of. Raises: MissingExtra; Unreachable without what it needs."""
    kind = _KINDS.get(address.partition("://")[0])
    if kind is None:
        return Store()
    module, _, name = kind.partition(":")
    store: Store = getattr(importlib.import_module(f"oomguard.preparation.remote.{module}"), name)()
    return store
