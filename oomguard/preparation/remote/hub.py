"""The Hugging Face Hub: what a dataset has, and where its files are.

Of its API two questions are asked: which commit a revision is, and the tree of a folder, a page of a thousand files at
a time. Sources: https://huggingface.co/docs/hub/api; https://huggingface.co/docs/hub/datasets-manual-configuration.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from oomguard.errors import BadInput, NothingFound, OomguardError, Unreachable
from oomguard.preparation.remote.data_card import choose, parse_card
from oomguard.preparation.remote.requesting import Client, receive_all
from oomguard.preparation.remote.stores import RemoteEntry, Store, path_pattern
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.remote.stores import PathPattern

_COMMIT = re.compile("[0-9a-f]{40}")
_HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_ADDRESS = re.compile(
    r"hf://(?:datasets/)?((?!datasets/)[^/@]+/[^/@]+)(?:@(refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(.*))?", re.DOTALL
)
_PAGE = re.compile(r"/datasets/([^/]+/[^/]+)(?:/(tree|blob|resolve|viewer)/((?:refs/)?[^/]+)(?:/(.*))?)?/?", re.DOTALL)
_HOSTS = ("huggingface.co", "hf.co")
_FORM = "hf://datasets/OWNER/NAME[@REVISION]/PATH"
_YES = {"1", "ON", "YES", "TRUE"}  # as huggingface_hub reads its variables
# What the Hub says in X-Error-Code.
_REFUSALS: dict[str, tuple[type[OomguardError], str, str]] = {
    "GatedRepo": (Unreachable, "gated, and you have no access yet", "request access on PAGE, then: hf auth login"),
    "RevisionNotFound": (NothingFound, "the dataset has no such revision", "check what comes after the @"),
    "RepoNotFound": (
        NothingFound,
        "there is no such dataset, or you may not see it",
        "check the name; for a private one: hf auth login",
    ),
}  # fmt: skip


class Hub(Store):
    """The Hub, which gets the user's token."""

    who = "the Hub"
    check = "check the name"
    login = "hf auth login, with a token that may read it"
    has_secret = True

    def __init__(self) -> None:
        token = hub_token()
        self._secret = {"Authorization": f"Bearer {token}"} if token else {}

    def url(self, address: str, pin: str) -> str:  # noqa: ARG002
        """Of a file with its commit: hf://datasets/OWNER/NAME@COMMIT/PATH."""
        owner, name, path = address.removeprefix("hf://datasets/").split("/", 2)
        name, _, commit = name.partition("@")
        return f"{hub_endpoint()}/datasets/{owner}/{name}/resolve/{commit}/{quote(path)}"

    def secret(self, url: str) -> dict[str, str]:  # noqa: D102, ARG002
        return self._secret

    def tag(self, pin: str) -> str:  # noqa: ARG002
        """What it redirects to has ETags of its own."""
        return ""

    def hash(self, pin: str) -> str:
        """The pin is one: sha256 of what is in LFS, else git's of the blob."""
        return pin if _HASH.fullmatch(pin) else ""

    def refusal(self, name: str, status: int, headers: Any, body: bytes) -> OomguardError:  # noqa: D102
        code = headers.get("X-Error-Code", "")
        if code in _REFUSALS:
            kind, what, do = _REFUSALS[code]
            found = _ADDRESS.fullmatch(_from_page(name))
            page = f"{hub_endpoint()}/datasets/{found[1]}" if found else hub_endpoint()
            return kind(f"{name}: {what} ({self.who} answers {status})", do=do.replace("PAGE", page))
        if status == 401:
            return Unreachable(f"{name} may not be read, or is not there ({self.who} answers 401)", do=self.login)
        return super().refusal(name, status, headers, body)


def find_on_hub(address: str, known: list[str], subset: str | None = None) -> Iterator[RemoteEntry]:
    """Give the files of a dataset that are named, or below a folder, or match a glob, or are of a subset."""
    name = printable(address)
    address = _from_page(address)
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise BadInput(f"{name} names no dataset", do=f"oomguard prepare {_FORM}")
    repository, revision, path = found[1], unquote(found[2] or ""), found[3] or ""
    hub = _Repository(Client(name, Hub()), repository, name)
    commits = {one.partition("@")[2].partition("/")[0] for one in known
               if one.startswith(f"hf://datasets/{repository}@")}  # fmt: skip
    # Of several revisions, which commit was that of the main branch is not known.
    earlier = commits.pop() if len(commits) == 1 else ""
    commit = revision if _COMMIT.fullmatch(revision) else (earlier if not revision else "")
    commit = commit or hub.commit_of(revision)
    patterns, is_file = [path_pattern(path)], False
    files: list[dict[str, Any]]
    if subset is not None or not patterns[0].path:
        patterns = _of_subset(hub, commit, patterns[0], subset, address) or patterns
    if len(patterns) == 1 and patterns[0].may_be_file:
        path = patterns[0].path
        files = [one for one in hub.tree(commit, path.rpartition("/")[0], recursive=False) if one["path"] == path]
        is_file = bool(files)
    if not is_file:  # or a folder with a dot in its name
        folder = (
            patterns[0].folder if len(patterns) == 1 else os.path.commonpath([_folder_of(each) for each in patterns])
        )
        files = list(hub.tree(commit, folder, recursive=True))
    for one in files:
        where: str = one["path"]
        if any(pattern.takes(where) for pattern in patterns):
            yield RemoteEntry(
                address=f"hf://datasets/{repository}@{commit}/{where}",
                size=one["size"],
                pin=_pin_of(one),
                named=is_file,
            )


def _folder_of(pattern: PathPattern) -> str:
    return pattern.folder.rpartition("/")[0] if pattern.may_be_file else pattern.folder


def _of_subset(
    hub: _Repository, commit: str, whole: PathPattern, subset: str | None, address: str
) -> list[PathPattern]:
    """The paths that the dataset's card gives for a subset; none where there is no card, and none was asked for."""
    name = printable(address)
    if whole.path:
        data_set = address.rstrip("/").removesuffix(whole.path).rstrip("/")
        raise BadInput(
            f"{name}: --subset chooses the files, and so does the path",
            do=f"leave one of them out: oomguard prepare {shell_word(data_set)} --subset {shell_word(subset or '')}",
        )
    try:
        paths = choose(parse_card(hub.card(commit)), subset, name=name, address=address.rstrip("/"))
    except ValueError as error:
        raise BadInput(
            f"{name}: what its card (README.md) says of its subsets cannot be used: {printable(str(error))}",
            do=f"name the folder: oomguard prepare {shell_word(address.rstrip('/'))}/FOLDER",
        ) from error
    return [path_pattern(path) for path in paths or ()]


def _from_page(address: str) -> str:
    """The address of what a page of the Hub shows, which people copy out of their browser; others as they are."""
    found = _PAGE.fullmatch(urlsplit(address).path) if is_hub_page(address) else None
    if found is None:
        return address
    repository, kind, revision, rest = found[1], found[2], found[3] or "", found[4] or ""
    if kind in ("tree", "blob", "resolve"):
        return f"hf://datasets/{repository}@{revision}/{unquote(rest)}"
    return f"hf://datasets/{repository}"


def is_hub_page(address: str) -> bool:
    """Whether an address of the web is of a dataset on the Hub."""
    try:
        parts, own = urlsplit(address), urlsplit(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    except ValueError:
        return False
    is_ours = (parts.hostname or "").removeprefix("www.") in _HOSTS or parts[:2] == own[:2]
    return address.startswith("http") and is_ours and _PAGE.fullmatch(parts.path) is not None


class _Repository:
    """The questions about a dataset."""

    def __init__(self, client: Client, repository: str, name: str) -> None:
        self._client, self._repository, self._name = client, repository, name
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
            for one in [] if page is None else page if isinstance(page, list) else [page]:
                if not isinstance(one, dict) or "type" not in one:
                    raise self._nonsense()
                if one["type"] == "file":
                    if not _is_file(one):
                        raise self._nonsense()
                    yield one

    def card(self, commit: str) -> str:
        """Its README.md; empty: there is none. Raises: OomguardError."""
        url = f"{hub_endpoint()}/datasets/{quote(self._repository)}/resolve/{commit}/README.md"
        status, body, _ = self._client.ask(url, {}, self._take, also=404)
        return "" if status == 404 else body.decode(errors="replace")

    def _ask(self, url: str, *, absent: bool = False) -> tuple[Any, str | None]:
        """Give the answer (None: what is asked for is not there), and the address of the next page."""
        status, body, following = self._client.ask(url, {}, self._take, also=404 if absent else 200)
        if status == 404:
            return None, None
        try:
            if following is not None and urlsplit(following)[:2] != urlsplit(url)[:2]:
                raise self._nonsense()  # the token is for this host
            return json.loads(body), following
        except (ValueError, RecursionError) as error:
            raise self._nonsense() from error

    def _take(self, answer: Any) -> tuple[int, bytes, str | None]:
        if answer.status_code == 404 and answer.headers.get("X-Error-Code", "EntryNotFound") != "EntryNotFound":
            raise self._client.refusal(answer)
        body = receive_all(answer)
        return answer.status_code, body, answer.links.get("next", {}).get("url")

    def _nonsense(self) -> Unreachable:
        return Unreachable(f"{self._name}: what {hub_endpoint()} answers is not the Hub's API", do="echo $HF_ENDPOINT")


def _is_file(entry: dict[str, Any]) -> bool:
    """Whether an entry of a tree says of a file what is needed."""
    size, lfs = entry.get("size"), entry.get("lfs")
    return (
        isinstance(size, int) and size >= 0 and isinstance(entry.get("path"), str)
        and (lfs is None or isinstance(lfs, dict)) and isinstance(_pin_of(entry), str)
    )  # fmt: skip


def _pin_of(entry: dict[str, Any]) -> Any:
    """The hash of a file in LFS, or git's of the blob; None: there is none."""
    return (entry.get("lfs") or {}).get("oid") or entry.get("oid")


def hub_endpoint() -> str:
    """Where the Hub is: HF_ENDPOINT, else https://huggingface.co.

    Raises: Unreachable where HF_HUB_OFFLINE is set; BadInput where it is no address.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES:
        raise Unreachable("HF_HUB_OFFLINE is set: the Hub is not contacted", do="unset HF_HUB_OFFLINE")
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    try:
        is_one = urlsplit(endpoint).scheme in ("http", "https")
    except ValueError:
        is_one = False
    if not is_one:
        raise BadInput("HF_ENDPOINT is not an address like https://HOST", do="echo $HF_ENDPOINT")
    return endpoint


def hub_token() -> str | None:
    """The user's token, from where `hf auth login` puts it and huggingface_hub looks for it."""
    if os.environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").upper() in _YES:
        return None
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := os.environ.get(name, "").strip():
            return token
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{cache}/huggingface"
    path = Path(os.environ.get("HF_TOKEN_PATH") or f"{home}/token").expanduser()
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeError):
        return None
