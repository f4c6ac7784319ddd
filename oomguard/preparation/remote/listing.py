"""What an address names: the files, their sizes, and what tells their version. In a process of its own, which ends.

Libraries of the Hub take 20 MiB, which the coordinator need not carry for the whole run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from oomguard import errors
from oomguard.errors import BadInput, MissingExtra, NothingFound, OomguardError, Unreachable, WorkerFailed
from oomguard.kernel.process.commands import own_command
from oomguard.preparation.remote.remote_file import Patience, TryAgain, asked_wait, get, new_session, tag_of
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMIT = re.compile("[0-9a-f]{40}")
_MAGIC = re.compile(r"[*?\[]")
_ADDRESS = "hf://datasets/OWNER/NAME[@REVISION]/PATH"
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEntry:
    """A file on a server."""

    address: str  # of the Hub: with the commit
    size: int
    pin: str  # sha256, or what the server calls this version
    named: bool  # itself, and not by a folder or a glob


def list_remote(address: str, known: list[str]) -> list[RemoteEntry]:
    """Give the files that an address names, sorted; `known`: addresses of an earlier run, whose commit is kept.

    Raises: OomguardError: BadInput, NothingFound, MissingExtra, Unreachable.
    """
    run = subprocess.run(
        own_command("oomguard.preparation.remote.listing"), input=json.dumps([address, known]).encode(),
        stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    if run.returncode:
        raise WorkerFailed(f"{printable(address)}: listing it ended with status {run.returncode}", do="see above")
    answer = json.loads(run.stdout)
    if "error" in answer:
        error = errors.OomguardError(answer["what"], do=answer["do"])
        error.__class__ = getattr(errors, answer["error"], OomguardError)
        raise error
    return [RemoteEntry(**entry) for entry in answer["files"]]


def main() -> None:
    """Answer one question on standard input."""
    address, known = json.load(sys.stdin)
    try:
        find = _hub_files if address.startswith("hf://") else _web_file
        answer: dict[str, Any] = {"files": [asdict(entry) for entry in find(address, known)]}
    except OomguardError as error:
        answer = {"error": type(error).__name__, "what": str(error), "do": error.do}
    print(json.dumps(answer))


def _web_file(address: str, _: list[str]) -> Iterator[RemoteEntry]:
    name, parts = printable(address), urlsplit(address)
    if parts.username or parts.password or parts.query:
        raise BadInput(
            f"{parts.scheme}://{printable(parts.hostname or '')}{printable(parts.path)}: an address with a password or "
            "a query may hold a secret, and inputs are written down in the manifest",
            do="put user and password into ~/.netrc; or curl ADDRESS | oomguard prepare -",
        )
    patience = Patience(name, _ATTEMPTS)
    while True:
        try:
            answer, _seen = get(new_session(), address, name, {"Range": "bytes=0-0"}, {})
            break
        except TryAgain as failure:
            patience.wait(failure)
    total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if answer.status_code == 200:
        total = answer.headers.get("Content-Length", "")
    elif total == "*":
        total = ""
    answer.close()
    if not total.isdigit():
        raise BadInput(f"{name}: the server does not say how long it is", do=f"curl -L {name} | oomguard prepare -")
    yield RemoteEntry(address=address, size=int(total), pin=tag_of(answer.headers), named=True)


def _hub_files(address: str, known: list[str]) -> Iterator[RemoteEntry]:  # noqa: C901 - one question after the other
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import (
            EntryNotFoundError,
            HfHubHTTPError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
        from huggingface_hub.hf_api import RepoFile
    except ImportError as error:
        raise MissingExtra("hf:// is read with huggingface_hub", extra="hub") from error
    shown = printable(address)
    found = re.fullmatch(
        r"hf://datasets/([^/@]+/[^/@]+)(?:@(refs/(?:convert|pr)/[^/]+|[^/]+))?(?:/(.*))?", address, re.DOTALL
    )
    if found is None:
        raise BadInput(f"{shown} names no data set", do=f"oomguard prepare {_ADDRESS}")
    repository, revision, path = found[1], unquote(found[2] or ""), (found[3] or "").rstrip("/")
    start = f"hf://datasets/{repository}@"
    earlier = next((one[len(start) :].partition("/")[0] for one in known if one.startswith(start)), "")
    api = HfApi()

    def ask(what: Any) -> Any:
        patience = Patience(shown, _ATTEMPTS)
        while True:
            try:
                return what()
            except (RepositoryNotFoundError, RevisionNotFoundError) as error:
                raise NothingFound(
                    f"{shown}: the Hub has no such data set or revision, or you may not see it",
                    do="check the name; of a private or gated one: hf auth login",
                ) from error
            except EntryNotFoundError:
                return None
            except HfHubHTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                if status in (401, 403):
                    raise Unreachable(
                        f"{shown} may not be read (the Hub answers {status})", do="hf auth login"
                    ) from error
                after = asked_wait(error.response.headers) if status in (429, 503) else None
                patience.wait(TryAgain(f"the Hub answers {status}", after))
            except Exception as error:  # noqa: BLE001 - of whichever HTTP library the version has
                patience.wait(TryAgain(type(error).__name__))

    commit = revision if _COMMIT.fullmatch(revision) else (earlier if not revision else "")
    if not commit:
        commit = ask(lambda: api.repo_info(repository, repo_type="dataset", revision=revision or None)).sha
    parts = path.split("/") if path else []
    plain = next((at for at, part in enumerate(parts) if _MAGIC.search(part)), len(parts))
    is_file = plain == len(parts) and bool(parts) and "." in parts[-1]
    folder = "/".join(parts[: plain - 1] if is_file else parts[:plain])

    def tree(below: str, *, recursive: bool) -> Any:
        return ask(lambda: list(api.list_repo_tree(
            repository, below or None, recursive=recursive, revision=commit, repo_type="dataset",
        )))  # fmt: skip

    entries = [one for one in tree(folder, recursive=not is_file) or [] if isinstance(one, RepoFile)]
    wanted = [one for one in entries if is_file and one.path == path]
    if is_file and not wanted:  # a folder with a dot in its name
        entries, is_file = [one for one in tree(path, recursive=True) or [] if isinstance(one, RepoFile)], False
    if not is_file:
        matches = _matcher(parts) if plain < len(parts) else lambda _: True
        wanted = [one for one in entries if matches(one.path)]
    for one in wanted:
        if not any(part.startswith(".") for part in one.path.split("/")):
            pin = one.lfs.sha256 if one.lfs else one.blob_id
            yield RemoteEntry(address=f"{start}{commit}/{one.path}", size=one.size, pin=pin, named=is_file)


def _matcher(parts: list[str]) -> Any:
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
    return re.compile(pattern, re.DOTALL).fullmatch


if __name__ == "__main__":
    main()
