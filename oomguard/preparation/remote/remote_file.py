"""A file on a server, read from its begin to its end by few long requests whose bodies are taken as they come.

At most a block is held. A connection that is cut is gone on with where it was cut, and only with the same file: what
the server says of it (size, ETag) is compared with what was planned, and a sha256 that is known with what was read.
"""

from __future__ import annotations

import email.utils
import hashlib
import os
import random
import re
import time
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from oomguard.errors import Changed, MissingExtra, Unreachable
from oomguard.text import printable
from oomguard.units import KIB, MIB

_RANGE = 128 * MIB  # of one request
_NEXT = 64 * MIB  # of a file, that each request must stand for: the Hub limits their number
_BLOCK = 256 * KIB
_SMALL = 8 * MIB  # a file that is read by seeking, and is held whole
_TAIL = MIB  # where the footer of most is
_REDIRECTS = 10
_ATTEMPTS, _MOST_WAITS = 8, 30  # failures without a byte between them; waits that the server asked for
_LONGEST_WAIT, _MOST_BACKOFF = 3600.0, 30.0
_TIMEOUTS = (10, 60)  # seconds to connect, and between two bytes
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}
_HEXADECIMAL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_RESUMES = "run the same command again: it resumes from the last checkpoint"


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
        self._failures = 0

    def wait(self, failure: TryAgain) -> None:
        """Wait before the next attempt. Raises: Unreachable after too many."""
        if failure.after is not None:
            self._waits += 1
            seconds = min(failure.after, _LONGEST_WAIT) * (1 + random.random() / 10)
        else:
            self._failures += 1
            seconds = min(_MOST_BACKOFF, 2.0 ** (self._failures - 2)) if self._failures > 1 else 0.0
        if self._failures >= self._attempts or self._waits > _MOST_WAITS:
            raise Unreachable(f"{self._name} cannot be read: {failure}", do=_RESUMES)
        time.sleep(seconds)


def new_session() -> Any:
    """A session of `requests`: proxies, certificates and ~/.netrc as everywhere else."""
    try:
        import requests
    except ImportError as error:
        raise MissingExtra("an input on a server is read with requests", extra="hub") from error
    session = requests.Session()
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": "oomguard"})
    return session


def hub_endpoint() -> str:
    """Where the Hub is. Raises: MissingExtra without huggingface_hub."""
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise MissingExtra("hf:// is read with huggingface_hub", extra="hub") from error
    return str(constants.ENDPOINT)


def hub_token() -> str | None:
    """The user's token, from where huggingface_hub has it."""
    from huggingface_hub import get_token

    return get_token()


def get(
    session: Any, url: str, name: str, headers: dict[str, str], secret: dict[str, str]
) -> tuple[Any, dict[str, str]]:
    """Follow redirects; `secret` headers go to the first host alone. Gives the answer, and headers of those before.

    Raises: TryAgain; Changed where the file is not there any more, or another; Unreachable.
    """
    import requests

    first = urlsplit(url)[:2]
    seen: dict[str, str] = {}
    for _ in range(_REDIRECTS):
        own = secret if urlsplit(url)[:2] == first else {}
        try:
            answer = session.get(
                url, headers={**headers, **own}, auth=(lambda request: request) if own else None,
                allow_redirects=False, stream=True, timeout=_TIMEOUTS,
            )  # fmt: skip
        except (requests.exceptions.SSLError, requests.exceptions.InvalidURL) as error:
            raise Unreachable(f"{name} cannot be read: {_words(error)}", do="check the address") from error
        except (requests.exceptions.RequestException, OSError) as error:
            raise TryAgain(_words(error)) from error
        if answer.status_code not in (301, 302, 303, 307, 308):
            _require_good(answer, name, is_first=urlsplit(url)[:2] == first)
            return answer, seen
        seen = {**seen, **{key.lower(): value for key, value in answer.headers.items()}}
        url = urljoin(url, answer.headers.get("Location", ""))
        answer.close()
    raise Unreachable(f"{name} cannot be read: more than {_REDIRECTS} redirects", do="check the address")


def _require_good(answer: Any, name: str, *, is_first: bool) -> None:
    status = answer.status_code
    if status in (200, 206):
        return
    answer.close()
    if status in _TRY_AGAIN or (status == 403 and not is_first):  # 403: a signed address that has run out
        raise TryAgain(f"the server answers {status}", asked_wait(answer.headers) if status in (429, 503) else None)
    if status in (401, 403):
        raise Unreachable(
            f"{name} may not be read (the server answers {status})",
            do="hf auth login, or HF_TOKEN=..., with a token that may read it",
        )
    if status in (412, 416):
        raise changed(name, f"the server answers {status}")
    raise Unreachable(f"{name} is not there (the server answers {status})", do="check the address")


def asked_wait(headers: Any) -> float | None:
    """Seconds until the window of a limit ends: `RateLimit: "api";r=0;t=55` as on the Hub, else Retry-After."""
    found = re.search(r"\bt=([0-9]+)", headers.get("RateLimit", ""))
    if found:
        return float(found[1]) + 1
    after = headers.get("Retry-After", "")
    if re.fullmatch("[0-9]{1,6}", after):
        return float(after)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _words(error: BaseException) -> str:
    """What went wrong, without the address: it may hold a signature."""
    causes: list[BaseException] = [error]
    while (more := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < _REDIRECTS:
        causes.append(more)
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
    return str(headers.get("ETag") or headers.get("etag") or headers.get("Last-Modified") or "")


class RemoteFile:
    """The bytes of a source, as a file that is open for reading."""

    def __init__(self, path: str, size: int, pin: str) -> None:
        """Raises: MissingExtra without what reads it."""
        self.name = printable(path)
        self.size, self._pin = size, pin
        self._session = new_session()
        self._secret: dict[str, str] = {}
        self._url = path
        if path.startswith("hf://"):
            self._url = hub_url(path)
            token = hub_token()
            self._secret = {"Authorization": f"Bearer {token}"} if token else {}
        self._tag = "" if path.startswith("hf://") else pin
        self._linked = self._pin if path.startswith("hf://") and _HEXADECIMAL.fullmatch(self._pin) else ""
        self._at = 0
        self._block, self._block_at = b"", 0
        self._kept, self._kept_at = b"", 0
        self._answer: Any = None
        self._body_at = self._body_end = self._asked_at = 0
        self._hash: Any = hashlib.sha256() if len(self._linked) == 64 else None
        self._hashed = 0
        self._patience = Patience(self.name)
        self.closed = False

    def readable(self) -> bool:  # noqa: D102 - as of a file
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def writable(self) -> bool:  # noqa: D102
        return False

    def tell(self) -> int:  # noqa: D102
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go there; nothing is asked of the server before something is read."""
        self._at = offset + (0, self._at, self.size)[whence]
        return self._at

    def close(self) -> None:
        """Close the connection. Harmless twice."""
        self._drop()
        self._session.close()
        self.closed = True

    def flush(self) -> None:
        """Nothing is written."""

    def keep_tail(self) -> None:
        """Hold the end of the file, with a Parquet footer: all of a small one."""
        size = self.size if self.size <= _SMALL else _TAIL
        self._kept, self._kept_at = self._stretch(self.size - size, size), self.size - size
        footer = int.from_bytes(self._kept[-8:-4], "little") + 8
        if size < footer <= self.size:
            more = self._stretch(self.size - footer, footer - size)
            self._kept, self._kept_at = more + self._kept, self.size - footer

    def drop_tail(self) -> None:
        """Let the footer go, once it is parsed."""
        if self._kept_at:
            self._kept = b""

    def _stretch(self, start: int, size: int) -> bytes:
        self._at, parts, stop = start, [], start + size
        while size and (got := self._some(size, stop=stop)):
            parts.append(got)
            size -= len(got)
        self._drop()
        return b"".join(parts)

    def read(self, size: int = -1, /) -> bytes:
        """Give so many bytes, fewer only at the end of the file. Raises: Changed; Unreachable."""
        left = self.size - self._at if size < 0 else min(size, self.size - self._at)
        parts = []
        while left > 0 and (got := self._some(left)):
            parts.append(got)
            left -= len(got)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _some(self, size: int, stop: int | None = None) -> bytes:
        for data, begin in ((self._kept, self._kept_at), (self._block, self._block_at)):
            if begin <= self._at < begin + len(data):
                got = data[self._at - begin : self._at - begin + size]
                self._at += len(got)
                return got
        self._block, self._block_at = b"", self._at
        while not self._block:
            try:
                self._block = self._receive(stop)
            except TryAgain as failure:
                self._drop()
                self._patience.wait(failure)
        self._patience.progress()
        self._check(self._block)
        got = self._block[:size]
        self._at += len(got)
        return got

    def _receive(self, stop: int | None) -> bytes:
        """Give the next block from where reading is."""
        far = self._at - self._body_at > MIB and self._at - self._asked_at >= _NEXT
        if self._answer is None or not self._body_at <= self._at < self._body_end or far:
            self._drop()
            self._ask(min(self.size, self._at + _RANGE) if stop is None else stop)
        while self._body_at < self._at:  # other columns: each request stands for enough of the file
            self._body(min(_BLOCK, self._at - self._body_at))
        return self._body(min(_BLOCK, self._body_end - self._body_at))

    def _body(self, size: int) -> bytes:
        import requests
        import urllib3

        try:
            got: bytes = self._answer.raw.read(size, decode_content=False)
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise TryAgain(_words(error)) from error
        if not got:
            raise TryAgain(f"the connection ended at byte {self._body_at}")
        self._body_at += len(got)
        return got

    def _ask(self, stop: int) -> None:
        headers = {"Range": f"bytes={self._at}-{stop - 1}"}
        if self._tag.startswith('"') and not self._linked:
            headers["If-Match"] = self._tag
        answer, before = get(self._session, self._url, self.name, headers, self._secret)
        try:
            begin, total = self._extent(answer)
            if total is not None and total != self.size:
                raise changed(self.name, f"{total:,} bytes, and {self.size:,} then")  # noqa: TRY301
            self._compare(answer, before)
        except BaseException:
            answer.close()
            raise
        self._answer, self._asked_at = answer, self._at
        self._body_at, self._body_end = begin, stop if answer.status_code == 206 else self.size

    def _extent(self, answer: Any) -> tuple[int, int | None]:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise Unreachable(f"{self.name}: the server compresses it on the way", do="download the file first")
        if answer.status_code == 200:  # a server without ranges: what comes before is passed over
            length = answer.headers.get("Content-Length", "")
            return 0, int(length) if length.isdigit() else None
        found = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != self._at:
            raise TryAgain("the server gives another part than it was asked for")
        return int(found[1]), None if found[2] == "*" else int(found[2])

    def _compare(self, answer: Any, before: dict[str, str]) -> None:
        linked = (before.get("x-linked-etag") or answer.headers.get("X-Linked-ETag", "")).removeprefix("W/").strip('"')
        if self._linked and linked and len(linked) == len(self._linked):
            if linked != self._linked:
                raise changed(self.name, f"its ETag is {printable(linked)}, and {self._linked} then")
            return
        tag = tag_of(answer.headers)
        if self._tag and tag and tag != self._tag:
            raise changed(self.name, f"its ETag is {printable(tag)}, and {printable(self._tag)} then")
        self._tag = self._tag or tag

    def _check(self, block: bytes) -> None:
        """Compare the sha256 of a file that was read from its begin to its end."""
        if self._hash is None or self._hashed != self._block_at:
            return
        self._hash.update(block)
        self._hashed += len(block)
        if self._hashed == self.size and self._hash.hexdigest() != self._linked:
            raise changed(self.name, "the sha256 of what was read is not the one that the Hub has")

    def _drop(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._answer = None


def hub_url(address: str) -> str:
    """The address of a pinned file of a data set: hf://datasets/OWNER/NAME@COMMIT/PATH."""
    owner, name, path = address.removeprefix("hf://datasets/").split("/", 2)
    name, _, commit = name.partition("@")
    return f"{hub_endpoint()}/datasets/{owner}/{name}/resolve/{commit}/{quote(path)}"
