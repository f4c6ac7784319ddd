"""Objects that are written: whole or not at all, and only where none of that name is, unless it is to be replaced.

Source: the API reference of Amazon S3, PutObject, CreateMultipartUpload, CompleteMultipartUpload, HeadObject, and
"How to prevent object overwrites with conditional writes".
"""

from __future__ import annotations

import email.utils
import io
import re
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from oomguard.errors import NothingFound, OomguardError, Unreachable
from oomguard.preparation.remote.requesting import Client, TryAgain, receive_all
from oomguard.preparation.remote.s3 import S3, BucketList, bucket_and_key
from oomguard.text import printable
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.remote.requesting import Body

_WHOLE = 128 * MIB  # a file up to that size is one request; of a larger one, a piece is done again where one fails
_PIECE = 64 * MIB
_MOST_PIECES = 10_000
_MOST = 1 << 30  # bytes of an object that is held: the job of a million files has 250 MB
_SUM = "x-amz-meta-sha256"
_NEW = {"If-None-Match": "*"}
_UPLOAD = re.compile(rb"<UploadId>([^<]{1,2000})</UploadId>")


@dataclass(frozen=True, slots=True)
class Found:
    """What a store says of an object."""

    size: int
    sha256: str  # as it was told when it was written; empty: by somebody else
    modified: float  # seconds since 1970, by the store's clock,
    now: float  # as is this


class Stretch(io.RawIOBase):
    """A part of a file, to be sent."""

    def __init__(self, file: Path, start: int, size: int) -> None:
        """Open it. Raises: OSError."""
        self._file = file.open("rb", buffering=0)
        self._start, self._size, self._at = start, size, 0

    def __len__(self) -> int:
        return self._size

    def readable(self) -> bool:  # noqa: D102 - as of a file
        return True

    def seekable(self) -> bool:  # noqa: D102
        return True

    def tell(self) -> int:  # noqa: D102
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:  # noqa: D102
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Give the next bytes."""
        left = self._size - self._at
        self._file.seek(self._start + self._at)
        data = self._file.read(left if size < 0 else min(size, left)) or b""
        self._at += len(data)
        return data

    def close(self) -> None:  # noqa: D102
        self._file.close()
        super().close()


class S3Objects:
    """The objects of one bucket."""

    def __init__(self, address: str) -> None:
        """Of s3://BUCKET/PREFIX. Raises: BadInput; MissingExtra; Unreachable without what finds the credentials."""
        self._name = printable(address)
        self._bucket, _ = bucket_and_key(address)
        self._store = S3(writes=True)
        self._client = Client(self._name, self._store)

    def put(self, address: str, data: bytes, *, replaces: bool = False) -> bool:
        """Write a small object; False: there is one of that name, and it stays. Raises: OomguardError."""
        return self._put(self._store.url(address, ""), {}, lambda: nullcontext(data), replaces=replaces)

    def put_file(self, address: str, file: Path, sha256: str = "") -> bool:
        """Write a file; False: there is an object of that name, and it stays. Raises: OomguardError; OSError."""
        size, url = file.stat().st_size, self._store.url(address, "")
        headers = {_SUM: sha256} if sha256 else {}
        if size <= _WHOLE:
            return self._put(url, headers, lambda: Stretch(file, 0, size) if size else nullcontext(b""), replaces=False)
        return self.find(address) is None and self._put_pieces(address, headers, file, size)

    def get(self, address: str) -> bytes:
        """Give an object whole, or more than a GiB of it. Raises: NothingFound; OomguardError."""
        return self._client.ask(self._store.url(address, ""), {}, lambda answer: receive_all(answer, _MOST + 1))

    def end(self, address: str, size: int) -> tuple[bytes, int, str]:
        """Give the last bytes of an object, its size and its ETag. Raises: NothingFound; OomguardError."""

        def take(answer: Any) -> tuple[bytes, int, str]:
            body, told = receive_all(answer), answer.headers.get("Content-Range", "").rpartition("/")[2]
            tag = str(answer.headers.get("ETag", ""))
            return body[-size:], int(told) if told.isdecimal() else len(body), tag

        return self._client.ask(self._store.url(address, ""), {"Range": f"bytes=-{size}"}, take)

    def find(self, address: str) -> Found | None:
        """Look at an object; None: there is none of that name. Raises: OomguardError."""

        def take(answer: Any) -> Found:
            told = answer.headers
            try:
                modified, now = (email.utils.parsedate_to_datetime(told[name]) for name in ("Last-Modified", "Date"))
                size = int(told["Content-Length"])
            except (KeyError, TypeError, ValueError) as error:
                raise Unreachable(
                    f"{self._name}: the server's answer is not one of S3's API", do=self._store.check
                ) from error
            return Found(size, str(told.get(_SUM, "")), modified.timestamp(), now.timestamp())

        try:
            return self._client.ask(self._store.url(address, ""), {}, take, method="HEAD")
        except NothingFound:
            return None

    def remove(self, address: str) -> None:
        """Take an object away; harmless where there is none. Raises: OomguardError."""
        self._client.ask(self._store.url(address, ""), {}, receive_all, method="DELETE", also=204)

    def keys(self, start: str) -> Iterator[str]:
        """Give the keys that begin so, in order. Raises: OomguardError."""
        for key, _, _ in BucketList(self._client, self._store, self._bucket, self._name).objects(start):
            yield key

    def _put(self, url: str, headers: dict[str, str], body: Body, *, replaces: bool) -> bool:
        condition = {} if replaces else _NEW
        return self._client.ask(url, {**headers, **condition}, _is_written, method="PUT", body=body, also=412)

    def _put_pieces(self, address: str, headers: dict[str, str], file: Path, size: int) -> bool:
        """A large one, which is there when its last piece is."""
        url = self._store.url(address, "")
        found = _UPLOAD.search(self._post(f"{url}?uploads=", headers, b""))
        if found is None:
            raise Unreachable(f"{self._name}: the server's answer is not one of S3's API", do=self._store.check)
        upload = urlencode({"uploadId": found[1].decode()}, quote_via=quote, safe="")
        piece = max(_PIECE, -(-size // _MOST_PIECES))
        try:
            told = ""
            for number, start in enumerate(range(0, size, piece), start=1):
                tag = self._put_piece(f"{url}?partNumber={number}&{upload}", file, start, min(piece, size - start))
                told += f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            whole = f"<CompleteMultipartUpload>{told}</CompleteMultipartUpload>".encode()
            is_written = self._client.ask(
                f"{url}?{upload}", _NEW, _is_written, method="POST", body=lambda: nullcontext(whole), also=412
            )
        except NothingFound:
            if self.find(address) is None:
                raise
            return False  # some servers forget what is done: this very request may have been, and its answer lost
        except BaseException:
            self._forget(f"{url}?{upload}")
            raise
        if not is_written:
            self._forget(f"{url}?{upload}")
        return is_written

    def _put_piece(self, url: str, file: Path, start: int, size: int) -> str:
        def tag(answer: Any) -> str:
            receive_all(answer)
            return str(answer.headers.get("ETag", ""))

        return self._client.ask(url, {}, tag, method="PUT", body=lambda: Stretch(file, start, size))

    def _post(self, url: str, headers: dict[str, str], data: bytes) -> bytes:
        return self._client.ask(url, headers, receive_all, method="POST", body=lambda: nullcontext(data))

    def _forget(self, url: str) -> None:
        """What was sent of a large file takes room, and is not seen."""
        try:
            self._client.ask(url, {}, receive_all, method="DELETE", also=204)
        except OomguardError:
            return  # what went wrong first is said; a rule of the bucket's can remove such (docs/s3.md)


def _is_written(answer: Any) -> bool:
    """False: 412, there is an object of that name. S3 may begin an answer with 200, and say in it that it failed."""
    body = receive_all(answer)
    if answer.status_code != 412 and b"<Error>" in body:
        raise TryAgain("the server could not put the pieces together")
    return bool(answer.status_code != 412)
