"""A file on a server, read from its begin to its end by few long requests whose bodies are taken as they come.

At most a block and a footer are held. A connection that is cut is resumed where it was cut, and only with the same
file: what the server says of it (size, ETag) is compared with what was planned, and the hash that the Hub has of it
with what was read, where that is all of it.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Self

from oomguard.errors import BadInput, Unreachable
from oomguard.preparation.remote.requesting import Client, Patience, TryAgain, changed, receive, tag_of
from oomguard.preparation.remote.stores import open_store
from oomguard.text import printable, shell_word
from oomguard.units import KIB, MIB, format_size

_RANGE = 128 * MIB  # of one request
_NEXT = 64 * MIB  # of a file, that each request must stand for: the Hub limits their number
_BLOCK = 256 * KIB
_SMALL = 4 * MIB  # a file that is read by seeking, and is held whole
_TAIL = MIB  # where the footer of most is
_MOST_FOOTER = 64 * MIB  # which is held, and parsed
_AROUND, _AHEAD = 16 * KIB, 64 * KIB  # of a place, in one request


class RemoteFile:
    """The bytes of a source, as a file that is open for reading."""

    def __init__(self, path: str, size: int, pin: str) -> None:
        """Nothing is asked of the server yet. Raises: MissingExtra without what reads it; Unreachable."""
        self.name = printable(path)
        self.size, self._pin = size, pin
        self._path, self._store = path, open_store(path)
        self._client = Client(self.name, self._store)
        self._tag, self._linked = self._store.tag(pin), self._store.hash(pin)
        self._at = 0
        self._block, self._block_at = b"", 0
        self._kept, self._kept_at = b"", 0
        self._answer: Any = None
        self._body_at = self._body_end = self._asked_at = 0
        self._is_length_unsaid = False  # of a body that should be the whole file
        self._hash = _hash_for(self._linked, size)
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
        self._client.close()
        self.closed = True

    def flush(self) -> None:
        """Nothing is written."""

    def keep_tail(self) -> None:
        """Hold the end of the file, with a Parquet footer: all of a small one. Raises: BadInput; as `read`."""
        size = self.size if self.size <= _SMALL else _TAIL
        self._kept, self._kept_at = self.stretch(self.size - size, size), self.size - size
        footer = int.from_bytes(self._kept[-8:-4], "little") + 8 if self._kept.endswith(b"PAR1") else 0
        if size < footer <= self.size:
            if footer > _MOST_FOOTER:
                raise BadInput(
                    f"{self.name}: its footer has {format_size(footer)}, and for a file on a server at most "
                    f"{format_size(_MOST_FOOTER)} of it is read",
                    do="download the file first",
                )
            more = self.stretch(self.size - footer, footer - size)
            self._kept, self._kept_at = more + self._kept, self.size - footer

    def drop_tail(self) -> None:
        """Let the footer go, once it is parsed."""
        if self._kept_at:
            self._kept = b""

    def stretch(self, start: int, size: int) -> bytes:
        """Give a part, by a request for it alone. Raises: as `read`."""
        self._at, parts, stop = start, [], start + size
        while size and (got := self._some(size, stop=stop)):
            parts.append(got)
            size -= len(got)
        self._drop()
        return b"".join(parts)

    def read(self, size: int = -1, /) -> bytes:
        """Give so many bytes, fewer only at the end of the file. Raises: Changed; NothingFound; Unreachable."""
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
        got = receive(self._answer, size)
        if not got:
            raise TryAgain(f"the connection ended at byte {self._body_at:,}")
        self._body_at += len(got)
        if self._is_length_unsaid and self._body_at == self.size and receive(self._answer, 1):
            raise changed(self.name, f"it has more than the {self.size:,} bytes that it had then")
        return got

    def _ask(self, stop: int) -> None:
        headers = {"Range": f"bytes={self._at}-{stop - 1}"}
        if self._tag.startswith('"') and not self._linked:
            headers["If-Match"] = self._tag
        answer, before = self._client.get(self._store.url(self._path, self._pin), headers)
        try:
            begin, total = self._extent(answer)
            if total is not None and total != self.size:
                raise changed(self.name, f"it has {total:,} bytes, and had {self.size:,} then")  # noqa: TRY301
            self._compare(answer, before)
        except BaseException:
            answer.close()
            raise
        self._answer, self._asked_at = answer, self._at
        self._is_length_unsaid = answer.status_code == 200 and total is None
        self._body_at, self._body_end = begin, stop if answer.status_code == 206 else self.size

    def _extent(self, answer: Any) -> tuple[int, int | None]:
        stored = answer.headers.get("x-goog-stored-content-encoding") or "identity"
        if (
            stored != "identity"
        ):  # unpacked on the way, whatever was asked for: the size is another, and parts are not given
            raise BadInput(
                f"{self.name} is stored with Content-Encoding {printable(stored)}, and cannot be read as it is stored",
                do=f"gcloud storage cp {shell_word(self._path)} FILE; oomguard prepare FILE",
            )
        if (answer.headers.get("Content-Encoding") or "identity") != "identity":
            raise Unreachable(f"{self.name}: the server compresses it on the way", do="download the file first")
        if answer.status_code == 200:  # a server without ranges: what comes before is passed over
            length = answer.headers.get("Content-Length", "")
            return 0, int(length) if length.isdecimal() else None
        found = re.fullmatch(r"bytes ([0-9]+)-[0-9]+/([0-9]+|\*)", answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != self._at:
            raise TryAgain("the server gives a part that it was not asked for")
        return int(found[1]), None if found[2] == "*" else int(found[2])

    def _compare(self, answer: Any, before: dict[str, str]) -> None:
        linked = (before.get("x-linked-etag") or answer.headers.get("X-Linked-ETag", "")).removeprefix("W/").strip('"')
        if self._linked and linked and len(linked) == len(self._linked):
            if linked != self._linked:
                raise changed(self.name, f"its ETag is {printable(linked)}, and was {self._linked} then")
            return
        tag = tag_of(answer.headers)
        if self._tag and tag and tag != self._tag:
            raise changed(self.name, f"its ETag is {printable(tag)}, and was {printable(self._tag)} then")
        self._tag = self._tag or tag

    def _check(self, block: bytes) -> None:
        """Compare the hash of a file that was read from its begin to its end."""
        if self._hash is None or self._hashed != self._block_at:
            return
        self._hash.update(block)
        self._hashed += len(block)
        if self._hashed == self.size and self._hash.hexdigest() != self._linked:
            raise changed(self.name, "the hash of what was read is not the one that the Hub has")

    def _drop(self) -> None:
        if self._answer is not None:
            self._answer.close()
        self._answer = None


def _hash_for(pin: str, size: int) -> Any:
    """The hash that gives `pin`: sha256 of a large file, of a small one git's of its blob."""
    if len(pin) == 64:
        return hashlib.sha256()
    if len(pin) == 40:
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return None


# A file on a server that is looked into here and there: what is around a place comes in the same request.


class Places:
    """Bytes of a file from where they are asked for; it is closed with this."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._held, self._held_at = b"", 0
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read_at(self, offset: int, length: int) -> bytes:
        """Give a stretch, shorter only at the file's end. Raises: as RemoteFile's."""
        behind = min(offset + length, self._file.size)
        if not (self._held_at <= offset and behind <= self._held_at + len(self._held)):
            self._held_at = max(0, offset - _AROUND)
            self._held = self._file.stretch(self._held_at, min(self._file.size, behind + _AHEAD) - self._held_at)
        return self._held[offset - self._held_at : behind - self._held_at]

    def seek(self, offset: int) -> int:
        """Go there."""
        self._at = offset
        return offset

    def read(self, size: int) -> bytes:
        """Give the next bytes."""
        got = self.read_at(self._at, size)
        self._at += len(got)
        return got

    def readline(self, most: int) -> bytes:
        """Give what is left of a line, with its end; of a longer one the first `most` bytes."""
        parts, left, step = [], most, 4 * KIB
        while left > 0 and (got := self.read_at(self._at, min(step, left))):
            end = got.find(b"\n") + 1 or len(got)
            parts.append(got[:end])
            self._at += end
            left, step = left - end, min(2 * step, MIB)
            if parts[-1].endswith(b"\n"):
                break
        return b"".join(parts)
