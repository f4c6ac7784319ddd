"""The report of a run as a file: whether it can be written is known before the run starts."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from oomguard.errors import BadInput, NotOurs
from oomguard.kernel import safe_files
from oomguard.supervision.model import SCHEMA
from oomguard.text import printable

_HEAD = f'{{"schema": "{SCHEMA.partition("/")[0]}/'.encode()


class ReportFile:
    """Opened before the command starts. What goes wrong after that changes neither the command nor its status."""

    def __init__(self, path: str) -> None:
        """Open it, or make it. Raises: BadInput if that cannot be, or if it holds anything but a report of ours."""
        self._path = Path(path)
        try:
            self._fd, kind = safe_files.open_named(self._path)
        except OSError as error:
            raise BadInput(
                f'cannot write the report to "{printable(path)}": {error.strerror}',
                do="--report FILE in another folder",
            ) from error
        self._is_new = kind == "new"
        status = os.fstat(self._fd)
        self._is_file = stat.S_ISREG(status.st_mode)
        if kind == "there" and status.st_size and os.pread(self._fd, len(_HEAD), 0) != _HEAD:
            os.close(self._fd)
            raise BadInput(
                f'"{printable(path)}" is not a report of oomguard\'s, and is not overwritten', do="--report NEW-FILE"
            )

    def write(self, text: str) -> str | None:
        """Write it whole or not at all; gives why not."""
        data = text.encode()
        try:
            if self._is_file:
                os.ftruncate(self._fd, 0)
                os.lseek(self._fd, 0, os.SEEK_SET)
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            self._remove()  # half a report would be taken for one
            return error.strerror or str(error)
        finally:
            os.close(self._fd)
        return None

    def discard(self) -> None:
        """There is nothing to report. Raises: nothing."""
        os.close(self._fd)
        if self._is_new:
            self._remove()

    def _remove(self) -> None:
        try:
            if self._is_file and not self._path.is_symlink():
                safe_files.unlink(self._path)
        except (OSError, NotOurs):
            return
