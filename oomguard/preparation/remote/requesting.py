"""Requests to servers: redirects, secrets, refusals, and how long one waits before the next attempt.

A token goes to the host that it is for, and to no other that this one redirects to; no text of ours holds it, nor an
address after a redirect, which may be signed.
"""

from __future__ import annotations

import email.utils
import os
import random
import re
import socket
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from oomguard.errors import Changed, MissingExtra, NothingFound, OomguardError, Unreachable
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_REDIRECTS = 10
_ATTEMPTS, _QUESTION_ATTEMPTS, _MOST_WAITS = (
    8,
    4,
    30,
)  # failures, and waits that the server asked for, without a byte between them
_LONGEST_WAIT, _MOST_BACKOFF = 3600.0, 30.0
_WAIT_UNSAID = 60.0  # after a 429 that does not say how long
_WORTH_SAYING = 5.0  # a wait that would look as if nothing happened
_TIMEOUTS = (10, 60)  # seconds to connect, and between two bytes
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_YES = {"1", "ON", "YES", "TRUE"}  # as huggingface_hub reads its variables
# What the Hub says in X-Error-Code.
_HUB_REFUSALS: dict[str, tuple[type[OomguardError], str, str]] = {
    "GatedRepo": (Unreachable, "gated, and you have no access yet", "ask for it on PAGE, then: hf auth login"),
    "RevisionNotFound": (NothingFound, "the data set has no such revision", "check what is behind the @"),
    "RepoNotFound": (
        NothingFound,
        "there is no such data set, or you may not see it",
        "check the name; of a private one: hf auth login",
    ),
}  # fmt: skip
RESUMES = "look at the network (and HTTPS_PROXY), then run the same command again: it resumes"


class TryAgain(Exception):
    """A request failed in a way that passes; `after`: seconds that the server asked to wait."""

    def __init__(self, words: str, after: float | None = None) -> None:
        super().__init__(words)
        self.after = after


class Patience:
    """How often something is tried again, and how long is waited before."""

    def __init__(self, name: str, attempts: int = _ATTEMPTS) -> None:
        self._name, self._attempts = name, attempts
        self._failures = self._waits = 0

    def progress(self) -> None:
        """Something came."""
        self._failures = self._waits = 0

    def wait(self, failure: TryAgain) -> None:
        """Wait before the next attempt. Raises: Unreachable after too many."""
        if failure.after is not None:
            self._waits += 1
            seconds = min(failure.after, _LONGEST_WAIT) * (1 + random.random() / 10)
        else:
            self._failures += 1
            seconds = min(_MOST_BACKOFF, 2.0 ** (self._failures - 2)) if self._failures > 1 else 0.0
        if self._failures >= self._attempts or self._waits > _MOST_WAITS:
            raise Unreachable(f"{self._name} cannot be read: {failure}", do=RESUMES)
        if seconds >= _WORTH_SAYING:
            print(f"{self._name}: {failure}; tried again in {seconds:.0f} s", file=sys.stderr, flush=True)
        time.sleep(seconds)


class Client:
    """Asks for one input; with `hub`, the Hub, which gets the user's token."""

    def __init__(self, name: str, *, hub: bool) -> None:
        """Raises: MissingExtra."""
        try:
            import requests
        except ImportError as error:
            raise MissingExtra("an input on a server is read with requests", extra="hub") from error
        self._name, self._hub = name, hub
        self._session = requests.Session()  # proxies, certificates and ~/.netrc as everywhere else
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "oomguard"})
        self._secret: dict[str, str] = {}
        if hub and (token := hub_token()):
            self._secret = {"Authorization": f"Bearer {token}"}

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, url: str, headers: dict[str, str], *, absent: bool = False) -> tuple[Any, dict[str, str]]:
        """Follow redirects. Gives the answer, which is 200 or 206 (`absent`: or 404), and headers of those before it.

        Raises: TryAgain; Changed, NothingFound, Unreachable.
        """
        import requests

        first = urlsplit(url)[:2]
        seen: dict[str, str] = {}
        for _ in range(_REDIRECTS):
            is_first = urlsplit(url)[:2] == first
            try:
                answer = self._session.get(
                    url, headers={**headers, **(self._secret if is_first else {})},
                    auth=_as_it_is if self._hub else None, allow_redirects=False, stream=True, timeout=_TIMEOUTS,
                )  # fmt: skip
            except (requests.exceptions.SSLError, requests.exceptions.InvalidURL, ValueError) as error:
                raise Unreachable(f"{self._name} cannot be read: {words_of(error)}", do="check the address") from error
            except (requests.exceptions.RequestException, OSError) as error:
                host = urlsplit(url).hostname or ""
                raise TryAgain(f"{printable(host)}: {words_of(error)}") from error
            status = answer.status_code
            if status in (301, 302, 303, 307, 308):
                seen |= {key.lower(): value for key, value in answer.headers.items()}
                url = urljoin(url, answer.headers.get("Location", ""))
                answer.close()
            elif status in (200, 206) or (absent and status == 404):
                return answer, seen
            else:
                answer.close()
                raise self._refusal(answer, is_first=is_first)
        raise Unreachable(f"{self._name} cannot be read: more than {_REDIRECTS} redirects", do="check the address")

    def ask(self, url: str, headers: dict[str, str], take: Callable[[Any], _T], *, absent: bool = False) -> _T:
        """Give what `take` makes of the answer of `get`, tried some times. Raises: as `get`, but for TryAgain."""
        patience = Patience(self._name, _QUESTION_ATTEMPTS)
        while True:
            try:
                answer, _ = self.get(url, headers, absent=absent)
                with closing(answer):
                    return take(answer)
            except TryAgain as failure:
                patience.wait(failure)

    def _refusal(self, answer: Any, *, is_first: bool) -> Exception:
        status = answer.status_code
        if status in _TRY_AGAIN or (status == 403 and not is_first):  # 403: a signed address that has run out
            return TryAgain(f"the server answers {status}", asked_wait(answer))
        if status in (412, 416):
            return changed(self._name, f"the server answers {status}")
        return self.refusal(answer)

    def refusal(self, answer: Any) -> OomguardError:
        """Say why the server gives nothing."""
        status = answer.status_code
        code = answer.headers.get("X-Error-Code", "") if self._hub else ""
        who, check = ("the Hub", "check the name") if self._hub else ("the server", "check the address")
        if code in _HUB_REFUSALS:
            kind, what, do = _HUB_REFUSALS[code]
            data_set = "/".join(self._name.removeprefix("hf://datasets/").split("/")[:2]).partition("@")[0]
            page = f"{hub_endpoint()}/datasets/{data_set}"
            return kind(f"{self._name}: {what} ({who} answers {status})", do=do.replace("PAGE", page))
        if status in (401, 403):
            login = "hf auth login, with a token that may read it"
            what = "may not be read, or is not there" if self._hub and status == 401 else "may not be read"
            return Unreachable(
                f"{self._name} {what} ({who} answers {status})",
                do=login if self._hub else "put user and password for that host into ~/.netrc",
            )
        if status in (404, 410):
            return NothingFound(f"{self._name} is not there ({who} answers {status})", do=check)
        return Unreachable(f"{self._name} cannot be read: {who} answers {status}", do=check)


def _as_it_is(request: Any) -> Any:
    """Keep ~/.netrc out: the Hub is told a token or nothing."""
    return request


def receive(answer: Any, size: int) -> bytes:
    """Give the next bytes of a body, fewer than `size` only at its end. Raises: TryAgain where the connection ends."""
    import requests
    import urllib3

    try:
        got: bytes = answer.raw.read(size, decode_content=False)
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        raise TryAgain(words_of(error)) from error
    return got


def asked_wait(answer: Any) -> float | None:
    """Seconds that a 429 or 503 asks to wait: until the window of a limit ends, or Retry-After.

    Source: https://huggingface.co/docs/hub/rate-limits: `RateLimit: "api";r=0;t=55`.
    """
    if answer.status_code not in (429, 503):
        return None
    limited = answer.status_code == 429
    if limited and (found := re.search(r"\bt=([0-9]{1,6})\b", answer.headers.get("RateLimit", ""))):
        return float(found[1]) + 1
    after = answer.headers.get("Retry-After", "")
    if re.fullmatch("[0-9]{1,6}", after):
        return float(after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
    except (TypeError, ValueError):
        return _WAIT_UNSAID if limited else None


def words_of(error: BaseException) -> str:
    """What went wrong, without the address: it may hold a signature."""
    causes: list[BaseException] = [error]
    while (more := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < _REDIRECTS:
        causes.append(more)
    if any(isinstance(one, socket.gaierror) for one in causes):
        return "its host name cannot be resolved"
    number = next((one.errno for one in causes if isinstance(one, OSError) and isinstance(one.errno, int)), None)
    return f"{type(error).__name__}{f' ({os.strerror(number)})' if number and number > 0 else ''}"


def changed(name: str, how: str) -> Changed:
    """The file is not the one that was planned."""
    return Changed(
        f"{name} is another file than when the run began: {how}",
        do="--restart to make the shards of what is there now, or another --out FOLDER",
    )


def tag_of(headers: Any) -> str:
    """What tells one version of a file from another: its ETag, else when it was changed."""
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")


def hub_endpoint() -> str:
    """Where the Hub is: HF_ENDPOINT, else https://huggingface.co. Raises: Unreachable where HF_HUB_OFFLINE is set."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _YES:
        raise Unreachable("HF_HUB_OFFLINE is set: the Hub is not asked", do="unset HF_HUB_OFFLINE")
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


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


def hub_url(address: str) -> str:
    """The address of a pinned file of a data set: hf://datasets/OWNER/NAME@COMMIT/PATH."""
    owner, name, path = address.removeprefix("hf://datasets/").split("/", 2)
    name, _, commit = name.partition("@")
    return f"{hub_endpoint()}/datasets/{owner}/{name}/resolve/{commit}/{quote(path)}"
