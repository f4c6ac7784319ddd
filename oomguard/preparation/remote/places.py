"""A file on a server that is looked into here and there: what is around a place comes in the same request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from oomguard.preparation.remote.remote_file import RemoteFile

_AROUND, _AHEAD = 16 * KIB, 64 * KIB  # of a place, in one request


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
