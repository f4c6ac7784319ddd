"""The kinds of servers that inputs are on: what differs between them. Each has a module; here is what they share.

A store says where a file of an address is, what tells the server who asks, and what a refusal means.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oomguard.errors import BadInput, NothingFound, OomguardError, Unreachable
from oomguard.records import dataclass
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable


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


# What a store has: a file of a list, and the paths and globs that choose among them.


_MAGIC = re.compile(r"[*?\[]")
_WHO = {
    "s3": "credentials come from AWS_PROFILE, AWS_ACCESS_KEY_ID or aws configure, another server from AWS_ENDPOINT_URL",
    "gs": "credentials come from gcloud auth application-default login",
    "hf": "hf auth login stores a Hub token",
}
_HARMLESS = re.compile(r"(?:download(?:=(?:true|false|1|0)?)?)?")  # a query that the Hub's own links have


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEntry:
    """A file on a server."""

    address: str  # of the Hub: with the commit
    size: int
    pin: str  # sha256, or what the server calls this version
    named: bool  # itself, and not by a folder or a glob


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A path below a dataset or a bucket: a file, a folder, or a glob whose `**` stands for any folders."""

    path: str  # without a slash at its end
    folder: str  # the folders before the first glob, or all of the path
    matches: Callable[[str], Any]  # None or False: not this one

    @property
    def has_magic(self) -> bool:
        """Whether it is a glob."""
        return self.folder != self.path

    @property
    def may_be_file(self) -> bool:
        """Whether its last name looks like that of a file."""
        return not self.has_magic and "." in self.path.rpartition("/")[2]

    def takes(self, where: str) -> bool:
        """Whether a file is meant, and not hidden in a place that was not named."""
        inside = where[len(self.folder) :]
        return bool(self.matches(where)) and not any(part.startswith(".") for part in inside.split("/"))


def path_pattern(path: str) -> PathPattern:
    """Read a path. Raises: BadInput."""
    path = path.rstrip("/")
    parts = path.split("/") if path else []
    plain = next((at for at, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    folder = "/".join(parts[:plain])
    if plain < len(parts):
        return PathPattern(path, folder, _matcher(parts))
    return PathPattern(path, folder, lambda where: not path or where == path or where.startswith(f"{path}/"))


def _matcher(parts: list[str]) -> Callable[[str], Any]:
    """Whether a path matches a glob."""
    pattern = ""
    for number, part in enumerate(parts):
        if part == "**":
            pattern += "(?:.*/)?" if number < len(parts) - 1 else ".*"
            continue
        for piece in re.findall(r"\[[^\]]+\]|.", part, re.DOTALL):
            if piece in "*?":
                pattern += "[^/]*" if piece == "*" else "[^/]"
            elif len(piece) > 1:
                pattern += piece.replace("[!", "[^", 1)
            else:
                pattern += re.escape(piece)
        pattern += "/" if number < len(parts) - 1 else ""
    try:
        return re.compile(pattern, re.DOTALL).fullmatch
    except re.error as error:
        raise BadInput(f"{printable('/'.join(parts))}: not a glob: {error}", do="write a [ as [[]") from error


def refuse_secrets(address: str) -> None:
    """Refuse an address with what may be a secret, before it is written down or shown. Raises: BadInput."""
    scheme, _, rest = address.partition("://")
    if scheme not in ("http", "https"):
        if re.search("[@:]", rest.partition("/")[0]):  # of a bucket or an owner: neither has such a name
            raise BadInput(
                f"{scheme}://...: an address with a user or a password may hold a secret, and inputs are recorded",
                do=f"leave it out: {_WHO.get(scheme, 'credentials')}",
            )
        return
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        shown = f"{scheme}://..." if re.search("[@?]", rest) else printable(address)
        raise BadInput(f"{shown} is not a web address", do=f"check it: {scheme}://HOST/PATH") from error
    if "@" in parts.netloc or not _HARMLESS.fullmatch(parts.query):
        raise BadInput(
            f"{scheme}://{printable(host or '')}{printable(parts.path)}: an address with a user, a password or a query "
            "may hold a secret, and inputs are recorded in the manifest",
            do="leave it out: user and password belong in ~/.netrc, and a Hub token is stored by hf auth login; "
            "or curl ADDRESS | oomguard prepare -",
        )
