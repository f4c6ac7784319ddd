"""The file that a profile is recorded in: lines of JSON, appended while it goes on, so that a kill loses nothing.

A line that was written is the kernel's to keep, whoever is killed then; only what a power cut takes is lost. It stays
below a size however long the run: full, it is written anew with what the profiler remembers, and renamed into place.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.results.hostile import printable
from oomguard.results.recording import event_line, read_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from oomguard.results.recording import Event

_FULL = 8 << 20  # bytes
_GATHER_SECONDS = 0.05
_MOST_GATHERED = 1 << 16
_LONGEST_LINE = 1 << 20


class RecordingFile:
    """Takes lines; `anew` gives those that stand for all before, when the file is full."""

    def __init__(self, path: Path, *, anew: Callable[[], Iterable[dict[str, Any]]], full: int = _FULL) -> None:
        """Begin an empty recording. Raises: BadInput if the file cannot be made."""
        self.path = path
        self._anew = anew
        self._full = full
        self._gathered: list[bytes] = []
        self._gathered_size = 0
        self._since = 0.0
        self._size = 0
        self._fd = self._open(path)

    def write(self, line: dict[str, Any], *, now: bool = False) -> None:
        """Append a line; it is in the file within 50 ms, or at once."""
        text = _encode(line)
        self._gathered.append(text)
        self._gathered_size += len(text)
        clock = time.monotonic()
        if now or clock - self._since > _GATHER_SECONDS or self._gathered_size > _MOST_GATHERED:
            self._since = clock
            self.flush()

    def flush(self) -> None:
        """Hand what was gathered to the kernel. A full disk ends the recording, not the job: the rest is dropped."""
        data = b"".join(self._gathered)
        self._gathered.clear()
        self._gathered_size = 0
        self._size += len(data)
        if self._size > self._full:
            self._begin_anew()
            return
        _write_all(self._fd, data)

    def close(self) -> None:
        """Write the last lines."""
        self.flush()
        os.close(self._fd)

    def _begin_anew(self) -> None:
        data = b"".join(_encode(line) for line in self._anew())
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            fd = self._open(part)
            if not _write_all(fd, data):
                os.close(fd)
                part.unlink(missing_ok=True)
                return
            part.replace(self.path)
        except (OSError, BadInput):
            return
        os.close(self._fd)
        self._fd, self._size = fd, len(data)
        # What stands for all before must not fill the file by itself.
        self._full = max(self._full, 2 * len(data))

    @staticmethod
    def _open(path: Path) -> int:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            shown = printable(str(path))
            raise BadInput(
                f"the recording {shown} cannot be written: {error.strerror}", do="-o FILE names another"
            ) from error


def _encode(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _write_all(fd: int, data: bytes) -> bool:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        return False
    return True


def read_events(path: Path) -> Iterator[Event]:
    """Read what a recording says, to the last whole line. Raises: OSError."""
    with path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            event = read_line(line)
            if event is not None:
                yield event


def append_event(path: Path, event: Event) -> None:
    """Add what is known only after the end of a recording. Raises: nothing; the profile on the screen has it, too."""
    try:
        with path.open("ab") as file:
            file.write(_encode(event_line(event)))
    except OSError:
        return
