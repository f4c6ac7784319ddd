"""The file that a profile is recorded in: lines of JSON, appended as it runs, so that a kill loses nothing.

A line once written is kept by the kernel, whatever is killed then; only a power cut can lose it. The file stays below
a size however long the run: when it is full, a new one is written from what the profiler remembers, and replaces it.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, NothingFound, NotOurs
from oomguard.kernel import safe_files
from oomguard.kernel.plain_files import open_regular
from oomguard.profiling.recording_lines import event_line, read_line
from oomguard.profiling.rules.rebuild import build_profile
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from oomguard.profiling.model import PeakProfile
    from oomguard.profiling.recording_lines import Event

_FULL = 8 << 20  # bytes
_FIRST = b'{"recording":'
_LONGEST_LINE = 1 << 20


class RecordingFile:
    """Takes lines; `anew` gives those that replace all before, when the file is full."""

    def __init__(self, path: Path, *, anew: Callable[[], Iterable[dict[str, Any]]], full: int = _FULL) -> None:
        """Begin an empty recording. Raises: BadInput if the file cannot be made, or is something else already."""
        self.path = path
        self._anew = anew
        self._full = full
        self._size = 0
        self._torn = False  # a full disk cut the last line
        self.lost_some = False
        try:
            self._fd, kind = safe_files.open_named(path, 0o600, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise _cannot_be(path, f"cannot be written as a recording: {error.strerror}") from error
        self._is_file = kind != "stream"  # a device or a pipe is never full, nor replaced
        if kind == "there":
            self._take_over()

    def _take_over(self) -> None:
        """A recording may be overwritten; a file named by mistake is not."""
        beginning = os.pread(self._fd, len(_FIRST), 0)
        if beginning and beginning != _FIRST:
            os.close(self._fd)
            raise _cannot_be(self.path, "exists and is not a recording: it is left as it is")
        os.ftruncate(self._fd, 0)

    def write(self, line: dict[str, Any]) -> None:
        """Append a line, at once: 7 us. A full disk ends the recording, not the job: what has no room is dropped."""
        data = _encode(line)
        self._size += len(data)
        if self._size > self._full and self._is_file:
            self._begin_anew()
            return
        self._torn = not _write_all(self._fd, b"\n" + data if self._torn else data)
        self.lost_some |= self._torn

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def discard(self) -> None:
        """Let go of the file, in which there is nothing, and remove it; a device such as /dev/null stays."""
        self.close()
        if self.path.is_file() and not self.path.is_symlink():
            safe_files.unlink(self.path)

    def _begin_anew(self) -> None:
        data = b"".join(_encode(line) for line in self._anew())
        # What stands for all before must not fill the file by itself.
        self._full, self._size, self._torn = max(self._full, 2 * len(data)), len(data), False
        if not self._replace(data):
            with suppress(OSError):  # no room for a second file, or no right to make one: what there is makes room
                os.ftruncate(self._fd, 0)
            self._torn = not _write_all(self._fd, data)

    def _replace(self, data: bytes) -> bool:
        """Put `data` in the file's place, where a reader sees the old or the new."""
        try:
            with safe_files.replacing(self.path, 0o600, follow=True) as file:  # a link stays one
                file.write(data)
                fd = os.dup(file.fileno())
        except (OSError, NotOurs):
            return False
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
        os.close(self._fd)
        self._fd = fd
        return True


def _encode(line: dict[str, Any]) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _write_all(fd: int, data: bytes) -> bool:
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        return False
    return True


def _cannot_be(path: Path, why: str) -> BadInput:
    return BadInput(f"{printable(str(path))} {why}", do="oomguard profile -o ANOTHER_FILE -- COMMAND")


def read_events(path: Path) -> Iterator[Event]:
    """Read what a recording says, to the last whole line. Raises: OSError."""
    with open_regular(path) as file:
        while line := file.readline(_LONGEST_LINE):
            event = read_line(line)
            if event is not None:
                yield event


def append_event(path: Path, event: Event) -> None:
    """Add what is known only after the end of a recording. Raises: nothing; the profile on the screen has it, too."""
    try:
        fd = safe_files.open_there(path, os.O_WRONLY | os.O_APPEND)
    except (OSError, NotOurs):
        return
    _write_all(fd, _encode(event_line(event)))
    os.close(fd)


def read_recording(path: Path) -> PeakProfile:
    """Read a recording, whole or cut short.

    Raises: BadInput if it is not a recording; NothingFound if it does not exist.
    """
    try:
        return build_profile(read_events(path))
    except FileNotFoundError as error:
        raise NothingFound(
            f"there is no recording {printable(str(path))}", do="oomguard profile -o FILE -- COMMAND"
        ) from error
    except OSError as error:
        raise BadInput(
            f"the recording {printable(str(path))} cannot be read: {error.strerror}", do="oomguard report FILE"
        ) from error
    except BadInput as error:
        raise BadInput(f"{printable(str(path))}: {error}", do=error.do) from error
