"""The files of a job in a bucket: as paths have it, as far as a job needs it. Nothing there is ever half written."""

from __future__ import annotations

import fnmatch
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Self

from oomguard.errors import BadInput, NothingFound, OomguardError
from oomguard.preparation.cluster.claims import Claim
from oomguard.preparation.remote.remote_file import RemoteFile
from oomguard.preparation.remote.stores import refuse_secrets
from oomguard.text import printable, shell_word
from oomguard.units import KIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.remote.s3_objects import S3Objects

_END = 64 * KIB  # of a part, where its footer is
_TOUCH_SECONDS = 20.0  # each is a request
_TRIES = 3


@dataclass(frozen=True, slots=True)
class S3Place:
    """An object, or all whose names begin with its own and a slash."""

    address: str  # s3://BUCKET/KEY
    _held: list[Any] = field(default_factory=list, compare=False, repr=False)  # S3Objects, once something is asked

    @classmethod
    def of(cls, address: str) -> Self:
        """Raises: BadInput if the address has a password, or what stands for another one."""
        refuse_secrets(address)
        if not {".", ".."}.isdisjoint(address.split("/")):  # what sends requests takes them out, as of a path
            raise BadInput(
                f"{printable(address)}: . or .. between slashes would stand for another object", do="s3://BUCKET/KEY"
            )
        return cls(address)

    def __str__(self) -> str:
        return self.address

    def __lt__(self, other: Self) -> bool:
        return self.address < other.address

    def __truediv__(self, name: str) -> S3Place:
        return S3Place(f"{self.address}/{name}", self._held)

    @property
    def name(self) -> str:
        """What stands behind the last slash."""
        return self.address.rpartition("/")[2]

    @property
    def objects(self) -> S3Objects:
        """What asks for objects of this bucket. Raises: as it does."""
        if not self._held:
            from oomguard.preparation.remote.s3_objects import S3Objects

            self._held.append(S3Objects(self.address))
        objects: S3Objects = self._held[0]
        return objects

    def with_suffix(self, suffix: str) -> S3Place:
        """Another beside it, as of a path."""
        stem = str(PurePosixPath(self.name).with_suffix(suffix))
        return S3Place(f"{self.address.rpartition('/')[0]}/{stem}", self._held)

    def relative_to(self, other: S3Place) -> PurePosixPath:
        """What stands behind another's slash."""
        return PurePosixPath(self.address.removeprefix(f"{other.address}/"))

    def exists(self) -> bool:
        """Whether there is such an object. Raises: OomguardError."""
        return self.objects.find(self.address) is not None

    def read_bytes(self) -> bytes:
        """Give it whole. Raises: FileNotFoundError; OomguardError."""
        try:
            return self.objects.get(self.address)
        except NothingFound as error:
            raise FileNotFoundError(2, os.strerror(2), self.address) from error

    def read_text(self) -> str:
        """Give it whole. Raises: FileNotFoundError; UnicodeDecodeError; OomguardError."""
        return self.read_bytes().decode()

    def write_text(self, text: str) -> None:
        """Write it, in place of what was there. Raises: OomguardError."""
        self.objects.put(self.address, text.encode(), replaces=True)

    def create(self, text: str) -> bool:
        """Write it; False: it is there already, with another text, and stays. Raises: OomguardError."""
        if self.objects.put(self.address, text.encode()):
            return True
        with suppress(FileNotFoundError, UnicodeDecodeError):
            return self.read_text() == text  # this very request may have been done, and its answer lost
        return False

    def unlink(self) -> None:
        """Take it away. Raises: OomguardError."""
        self.objects.remove(self.address)

    def names(self) -> set[str]:
        """The names below it. Raises: OomguardError."""
        return {str(path.relative_to(self)) for path in self._below("")}

    def glob(self, pattern: str) -> Iterator[S3Place]:
        """Give those below it that match, no deeper than the pattern. Raises: OomguardError."""
        plain = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        for path in self._below(plain):
            parts, wanted = path.relative_to(self).parts, pattern.split("/")
            if len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted)):
                yield path

    def _below(self, start: str) -> Iterator[S3Place]:
        bucket, _, key = self.address.removeprefix("s3://").partition("/")
        for found in self.objects.keys(f"{key}/{start}" if key else start):
            yield S3Place(f"s3://{bucket}/{found}", self._held)

    def commit(self, file: Path, sha256: str = "") -> bool:
        """Send a file of this machine; False: there is one of that name, and it stays. Raises: OomguardError."""
        try:
            return self.objects.put_file(self.address, file, sha256)
        except OSError as error:
            raise BadInput(
                f"{printable(str(file))} cannot be read: {error.strerror}", do="df -h; dmesg | tail"
            ) from error

    def publish(self, file: Path, sha256: str) -> None:
        """Send a file that others may have sent before. Raises: BadInput if another one has its name."""
        shown = printable(self.address)
        for _ in range(_TRIES):
            if self.commit(file, sha256):
                return
            found = self.objects.find(self.address)
            if found is None:  # it was removed between the two questions: it is sent again
                continue
            if (found.size, found.sha256) != (file.stat().st_size, sha256):
                raise BadInput(
                    f"{shown} is already there and was not made by this job",
                    do="another --out, or move it away: aws s3 mv",
                )
            return
        raise BadInput(
            f"{shown}: the server's answers contradict each other: it exists, and it does not",
            do=f"aws s3 ls {shell_word(self.address)}",
        )

    def ranges(self) -> ObjectRanges:
        """Open it to be read here and there. Raises: FileNotFoundError; OomguardError."""
        try:
            end, size, tag = self.objects.end(self.address, _END)
        except NothingFound as error:
            raise FileNotFoundError(2, os.strerror(2), self.address) from error
        return ObjectRanges(RemoteFile(self.address, size, tag), end)


def require_conditions(probe: S3Place) -> None:
    """See to it that a store leaves an object that is there: so a part is committed once. Raises: BadInput."""
    try:
        probe.create("1")
        is_kept = not probe.create("2")
    finally:
        probe.unlink()
    if not is_kept:
        raise BadInput(
            f"{printable(str(probe))}: this server replaces an object where it was told not to (If-None-Match), so "
            "two workers could write the same one",
            do="--out FOLDER, or a store that supports conditional writes, as Amazon's does",
        )


class ObjectRanges:
    """Stretches of an object; those in a row come by one long request."""

    def __init__(self, file: RemoteFile, end: bytes) -> None:
        self.size = file.size
        self._file, self._end = file, end  # its last bytes, which are known already

    def read_at(self, start: int, size: int) -> bytes:
        """Give a stretch. Raises: OomguardError."""
        begin = start - (self.size - len(self._end))
        if begin >= 0:
            return self._end[begin : begin + size]
        self._file.seek(start)
        return self._file.read(size)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()


class S3Claim(Claim):
    """A claim that is an object. It spares work: whoever does not see it does the same, which is committed once."""

    touch_seconds = _TOUCH_SECONDS

    def __init__(self, place: S3Place) -> None:
        super().__init__(Path(place.name))
        self._place = place

    def _create(self) -> bool:
        return self._place.create(self._text)

    def _touch(self) -> None:
        if self.is_ours():
            self._place.write_text(self._text)

    def _remove(self, stale: str | None) -> bool:
        if self._read() == stale:
            self._place.unlink()
        return True

    def touched(self) -> float | None:
        """When it was last, by the clock of the store; None: it is gone."""
        found = self._place.objects.find(self._place.address)
        return None if found is None else found.modified

    def _age(self) -> float | None:
        found = self._place.objects.find(self._place.address)
        return None if found is None else found.now - found.modified

    def give_up(self) -> None:
        """It is done, or left."""
        with suppress(OomguardError):
            if self.is_ours():
                self._place.unlink()

    def _read(self) -> str | None:
        try:
            return self._place.read_text()
        except (OSError, ValueError):
            return None
