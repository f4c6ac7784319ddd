"""What an address names: the files, their sizes, and what tells their version. In a process of its own, which ends.

What talks to servers takes 20 MiB, which the coordinator need not carry for the whole run. Of the Hub's API two
questions are asked: which commit a revision is, and the tree of a folder, a page of a thousand files at a time.
Source: https://huggingface.co/docs/hub/api.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from oomguard import errors
from oomguard.errors import BadInput, OomguardError, Unreachable, WorkerFailed
from oomguard.kernel.process.commands import own_command
from oomguard.kernel.process.prctl import die_with_parent
from oomguard.preparation.remote.requesting import Client, TryAgain, hub_endpoint, receive, tag_of
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_COMMIT = re.compile("[0-9a-f]{40}")
_MAGIC = re.compile(r"[*?\[]")
_ADDRESS = re.compile(
    r"hf://(?:datasets/)?((?!datasets/)[^/@]+/[^/@]+)(?:@(refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(.*))?", re.DOTALL
)
_FORM = "hf://datasets/OWNER/NAME[@REVISION]/PATH"
_MOST_ANSWER = 64 << 20  # bytes of a page of the tree: a thousand files are 300 kB


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEntry:
    """A file on a server."""

    address: str  # of the Hub: with the commit
    size: int
    pin: str  # sha256, or what the server calls this version
    named: bool  # itself, and not by a folder or a glob


def list_remote(address: str, known: list[str]) -> list[RemoteEntry]:
    """Give the files that an address names; `known`: addresses of an earlier run, whose commit is kept.

    Raises: OomguardError: BadInput, NothingFound, MissingExtra, Unreachable.
    """
    run = subprocess.run(
        own_command("oomguard.preparation.remote.listing"), input=json.dumps([address, known, os.getpid()]).encode(),
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
    address, known, parent_pid = json.load(sys.stdin)
    die_with_parent(parent_pid)
    try:
        find = find_on_hub if address.startswith("hf://") else find_on_web
        answer: dict[str, Any] = {"files": [asdict(entry) for entry in find(address, known)]}
    except OomguardError as error:
        answer = {"error": type(error).__name__, "what": str(error), "do": error.do}
    print(json.dumps(answer))


def find_on_web(address: str, _: list[str]) -> Iterator[RemoteEntry]:
    """Give the one file, after a question for its first byte."""
    name, parts = printable(address), urlsplit(address)
    if parts.username or parts.password or parts.query:
        raise BadInput(
            f"{parts.scheme}://{printable(parts.hostname or '')}{printable(parts.path)}: an address with a password or "
            "a query may hold a secret, and inputs are written down in the manifest",
            do="put user and password into ~/.netrc; or curl ADDRESS | oomguard prepare -",
        )
    total, pin = Client(name, hub=False).ask(address, {"Range": "bytes=0-0"}, _extent)
    if not total.isdecimal():
        raise BadInput(f"{name}: the server does not say how long it is", do=f"curl -L {name} | oomguard prepare -")
    yield RemoteEntry(address=address, size=int(total), pin=pin, named=True)


def _extent(answer: Any) -> tuple[str, str]:
    """What it says of the length, and of the version."""
    total = answer.headers.get("Content-Length", "")
    if answer.status_code == 206:
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return total, tag_of(answer.headers)


def find_on_hub(address: str, known: list[str]) -> Iterator[RemoteEntry]:
    """Give the files of a data set that are named, or below a folder, or match a glob."""
    name = printable(address)
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise BadInput(f"{name} names no data set", do=f"oomguard prepare {_FORM}")
    repository, revision, path = found[1], unquote(found[2] or ""), (found[3] or "").rstrip("/")
    hub = _Hub(Client(name, hub=True), repository, name)
    earlier = next((one.partition("@")[2].partition("/")[0] for one in known
                    if one.startswith(f"hf://datasets/{repository}@")), "")  # fmt: skip
    commit = revision if _COMMIT.fullmatch(revision) else (earlier if not revision else "")
    commit = commit or hub.commit_of(revision)
    parts = path.split("/") if path else []
    plain = next((at for at, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    is_file = plain == len(parts) and bool(parts) and "." in parts[-1]
    folder = "/".join(parts[: plain - 1] if is_file else parts[:plain])
    files = [one for one in hub.tree(commit, folder, recursive=not is_file) if not is_file or one["path"] == path]
    if is_file and not files:  # a folder with a dot in its name
        is_file, files = False, list(hub.tree(commit, path, recursive=True))
    matches = _matcher(parts) if plain < len(parts) else lambda _: True
    for one in files:
        where: str = one["path"]
        if matches(where) and not any(part.startswith(".") for part in where.split("/")):
            pin = (one.get("lfs") or {}).get("oid") or one["oid"]
            address = f"hf://datasets/{repository}@{commit}/{where}"
            yield RemoteEntry(address=address, size=one["size"], pin=pin, named=is_file)


class _Hub:
    """The two questions about a data set."""

    def __init__(self, client: Client, repository: str, name: str) -> None:
        self._client, self._name = client, name
        self._url = f"{hub_endpoint()}/api/datasets/{quote(repository)}"

    def commit_of(self, revision: str) -> str:
        """Raises: OomguardError."""
        answer, _ = self._ask(f"{self._url}/revision/{quote(revision, safe='')}" if revision else self._url)
        commit = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise self._nonsense()
        return commit

    def tree(self, commit: str, folder: str, *, recursive: bool) -> Iterator[dict[str, Any]]:
        """Give the files below a folder, none if it is not there. Raises: OomguardError."""
        below = f"/{quote(folder, safe='')}" if folder else ""
        url: str | None = f"{self._url}/tree/{commit}{below}?recursive={recursive}&expand=False"
        while url is not None:
            page, url = self._ask(url, absent=True)
            for one in page or []:
                if one.get("type") == "file":
                    if not isinstance(one.get("size"), int) or not isinstance(one.get("path"), str):
                        raise self._nonsense()
                    yield one

    def _ask(self, url: str, *, absent: bool = False) -> tuple[Any, str | None]:
        """Give the answer (None: what is asked for is not there), and the address of the next page."""
        status, body, following = self._client.ask(url, {}, self._take, absent=absent)
        if status == 404:
            return None, None
        if following is not None and urlsplit(following)[:2] != urlsplit(url)[:2]:
            raise self._nonsense()  # the token is for this host
        try:
            return json.loads(body), following
        except ValueError as error:
            raise self._nonsense() from error

    def _take(self, answer: Any) -> tuple[int, bytes, str | None]:
        if answer.status_code == 404 and answer.headers.get("X-Error-Code", "EntryNotFound") != "EntryNotFound":
            raise self._client.refusal(answer)
        size = answer.headers.get("Content-Length", "")
        body = receive(answer, _MOST_ANSWER)
        if size.isdecimal() and len(body) < min(int(size), _MOST_ANSWER):
            raise TryAgain("the connection ended in the middle of a list")
        return answer.status_code, body, answer.links.get("next", {}).get("url")

    def _nonsense(self) -> Unreachable:
        return Unreachable(f"{self._name}: what {hub_endpoint()} answers is not the Hub's API", do="echo $HF_ENDPOINT")


def _matcher(parts: list[str]) -> Callable[[str], Any]:
    """Whether a path matches a glob whose `**` stands for any folders."""
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


if __name__ == "__main__":
    main()
