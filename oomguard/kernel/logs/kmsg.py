"""The kernel's own log, record by record. Source: Documentation/ABI/testing/dev-kmsg."""

from __future__ import annotations

import errno
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_LONGEST_RECORD = 8192  # kernel/printk/internal.h, PRINTKRB_RECORD_MAX is less
_MOST_MESSAGES = 100
_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def open_kmsg(path: Path) -> int:
    """Open the log to read what is in it now. Raises: OSError: it is not there, or may not be read."""
    return os.open(path, _FLAGS)


def read_records(fd: int) -> Iterator[bytes]:
    """Give each record from where `fd` is up to now: one read, one record."""
    while True:
        try:
            record = os.read(fd, _LONGEST_RECORD)
        except OSError as error:
            # Overwritten before it was read, or longer than the kernel makes them: the next read gives the next.
            if error.errno in (errno.EPIPE, errno.EINVAL):
                continue
            return  # EAGAIN: no more
        if not record:
            return
        yield record


class KernelMessages:
    """What the kernel says within a block. Where its log may not be read: nothing."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._device = root / "dev/kmsg"
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            self._fd = open_kmsg(self._device)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self._close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> list[str]:
        """The messages since then, without their prefixes."""
        if self._fd < 0:
            return []
        records = itertools.islice(read_records(self._fd), _MOST_MESSAGES)
        return [record.decode(errors="replace").partition(";")[2].split("\n")[0] for record in records]

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
