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
from contextlib import closing, nullcontext, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from oomguard.errors import Changed, MissingExtra, Unreachable
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from oomguard.errors import OomguardError
    from oomguard.preparation.remote.stores import Store

    Body = Callable[[], AbstractContextManager[Any]]  # opens what is sent: bytes, or a file

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
_MOST_LIST = 64 << 20  # bytes of a page of a list: a thousand files are 300 kB
_MOST_REASON = 4096  # bytes of an answer that says why not
_TRY_AGAIN = {408, 409, 425, 429, 500, 502, 503, 504}
RESUMES = "look at the network (and HTTPS_PROXY), then run the same command again: it resumes"


class TryAgain(Exception):
    """A request failed in a way that passes; `after`: seconds that the server asked to wait."""

    def __init__(self, words: str, after: float | None = None) -> None:
        super().__init__(words)
        self.after = after


class Patience:
    """How often something is tried again, and how long is waited before."""

    def __init__(self, name: str, attempts: int = _ATTEMPTS, *, verb: str = "read") -> None:
        self._name, self._attempts, self._verb = name, attempts, verb
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
            raise Unreachable(f"{self._name} cannot be {self._verb}: {failure}", do=RESUMES)
        if seconds >= _WORTH_SAYING:
            print(f"{self._name}: {failure}; tried again in {seconds:.0f} s", file=sys.stderr, flush=True)
        time.sleep(seconds)


class Client:
    """Asks for one input, of a kind of store."""

    def __init__(self, name: str, store: Store) -> None:
        """Raises: MissingExtra."""
        try:
            import requests
        except ImportError as error:
            raise MissingExtra("an input on a server is read with requests", extra="hub") from error
        self._name, self._store = name, store
        self._session = requests.Session()  # proxies, certificates and ~/.netrc as everywhere else
        self._session.headers.update({"Accept-Encoding": "identity", "User-Agent": "oomguard"})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, url: str, headers: dict[str, str], *, also: int = 200) -> tuple[Any, dict[str, str]]:
        """Ask for a file: as `send`."""
        return self.send("GET", url, headers, also=also)

    def send(
        self, method: str, url: str, headers: dict[str, str], *, body: Body | None = None, also: int = 200
    ) -> tuple[Any, dict[str, str]]:
        """Follow redirects. Gives the answer, which is 200, 206 or `also`, and headers of those before it.

        `body` opens what is sent, as often as it is sent.
        Raises: TryAgain; Changed, NothingFound, Unreachable.
        """
        import requests

        first = urlsplit(url)[:2]
        seen: dict[str, str] = {}
        for _ in range(_REDIRECTS):
            is_first = urlsplit(url)[:2] == first
            try:
                with body() if body is not None else nullcontext() as data:
                    who = self._store.sign(method, url, headers, data) if is_first else {}
                    answer = self._session.request(
                        method, url, headers={**headers, **who}, data=data,
                        auth=_as_it_is if self._store.has_secret else None, allow_redirects=False, stream=True,
                        timeout=_TIMEOUTS,
                    )  # fmt: skip
            except (requests.exceptions.SSLError, requests.exceptions.InvalidURL, ValueError) as error:
                what = f"{self._name} cannot be {_verb(method)}: {words_of(error)}"
                raise Unreachable(what, do="check the address") from error
            except (requests.exceptions.RequestException, OSError) as error:
                host = urlsplit(url).hostname or ""
                raise TryAgain(f"{printable(host)}: {words_of(error)}") from error
            status = answer.status_code
            if is_first and (elsewhere := self._store.elsewhere(url, answer)) is not None:
                url, first = elsewhere, urlsplit(elsewhere)[:2]
                answer.close()
            elif status in (301, 302, 303, 307, 308):
                seen |= {key.lower(): value for key, value in answer.headers.items()}
                url = urljoin(url, answer.headers.get("Location", ""))
                answer.close()
            elif status in (200, 206, also):
                return answer, seen
            else:
                failure = self._refusal(answer, is_first=is_first)
                answer.close()
                raise failure
        what = f"{self._name} cannot be {_verb(method)}: more than {_REDIRECTS} redirects"
        raise Unreachable(what, do="check the address")

    def ask(
        self,
        url: str,
        headers: dict[str, str],
        take: Callable[[Any], _T],
        *,
        method: str = "GET",
        body: Body | None = None,
        also: int = 200,
    ) -> _T:
        """Give what `take` makes of the answer of `send`, tried some times. Raises: as `send`, but for TryAgain."""
        patience = Patience(self._name, _QUESTION_ATTEMPTS if body is None else _ATTEMPTS, verb=_verb(method))
        while True:
            try:
                answer, _ = self.send(method, url, headers, body=body, also=also)
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
        body = b""
        with suppress(TryAgain):  # what it says of the reason cannot be had
            body = receive(answer, _MOST_REASON)
        return self._store.refusal(self._name, answer.status_code, answer.headers, body)


def _verb(method: str) -> str:
    return "read" if method in ("GET", "HEAD") else "written"


def _as_it_is(request: Any) -> Any:
    """Keep ~/.netrc out: who is told a token or a signature is told that or nothing."""
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


def receive_all(answer: Any, most: int = 0) -> bytes:
    """Give a list, or `most` bytes at most, whole. Raises: TryAgain where the connection ends before it does."""
    size, most = answer.headers.get("Content-Length", ""), most or _MOST_LIST
    body = receive(answer, most)
    if size.isdecimal() and len(body) < min(int(size), most):
        raise TryAgain("the connection ended in the middle of an answer")
    return body


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


def ask_extent(client: Client, url: str) -> tuple[int | None, str]:
    """Give a file's size, None where the server does not say, and its version, by asking for its first byte."""

    def extent(answer: Any) -> tuple[int | None, str]:
        total = answer.headers.get("Content-Length", "")
        if answer.status_code == 206:
            total = answer.headers.get("Content-Range", "").rpartition("/")[2]
        if answer.status_code == 416:  # an empty file has no first byte
            if answer.headers.get("Content-Range", "") != "bytes */0":
                raise client.refusal(answer)
            total = "0"
        return int(total) if total.isdecimal() else None, tag_of(answer.headers)

    return client.ask(url, {"Range": "bytes=0-0"}, extent, also=416)


def changed(name: str, how: str) -> Changed:
    """The file is not the one that was planned."""
    return Changed(
        f"{name} is not the same file as when the run began: {how}",
        do="--restart to make the shards of what is there now, or another --out FOLDER; plan a job again",
    )


def tag_of(headers: Any) -> str:
    """What tells one version of a file from another: its ETag, else when it was changed."""
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")
