"""The file through which a profiled program tells of its stages; see oomguard.stages."""

from __future__ import annotations

import os

from oomguard.profiling.recording.events import StageMark
from oomguard.stages import STAGES_VARIABLE

_MOST_READ = 1 << 16  # bytes at a look
_MOST_NUMBER = 1 << 31


class StageFile:
    """Made empty, followed while the program appends to it. close() it."""

    variable = STAGES_VARIABLE  # of the environment, which names it to the program

    def __init__(self, began: float) -> None:
        """Times are counted from `began`, of the monotonic clock."""
        self._began = began
        # A name that goes with this process, however it ends: nothing is left behind.
        self._fd = os.memfd_create("oomguard-stages")
        self.path = f"/proc/{os.getpid()}/fd/{self._fd}"
        self._read = 0
        self._torn = b""

    def marks(self) -> list[StageMark]:
        """The stages that began or ended since the last time. Raises: nothing; what is not a mark is skipped."""
        data = os.pread(self._fd, _MOST_READ, self._read)
        self._read += len(data)
        *lines, self._torn = (self._torn + data).split(b"\n")
        self._torn = self._torn[:_MOST_READ]
        return [mark for line in lines if (mark := self._parse(line)) is not None]

    def close(self) -> None:
        """Let the file go."""
        os.close(self._fd)

    def _parse(self, line: bytes) -> StageMark | None:
        parts = line.decode(errors="replace").split("\t")
        if len(parts) != 4 or parts[2] not in ("begin", "end"):
            return None
        try:
            seconds, pid = float(parts[0]) - self._began, int(parts[1][:12])
        except ValueError:
            return None
        if not (-1.0 < seconds < _MOST_NUMBER and 0 < pid < _MOST_NUMBER):
            return None
        return StageMark(seconds=max(0.0, seconds), pid=pid, begins=parts[2] == "begin", name=parts[3])
