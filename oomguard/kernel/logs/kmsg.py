"""What the kernel said while something was tried: its answer to swapon is one word, the reason is in its log."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_LONGEST_RECORD = 8192  # kernel/printk/internal.h, PRINTKRB_RECORD_MAX is less


class KernelMessages:
    """The kernel's log lines from the beginning of a block on. Where the log may not be read: none."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._device = root / "dev/kmsg"
        self._fd = -1

    def __enter__(self) -> Self:
        try:
            self._fd = os.open(self._device, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self._close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def read(self) -> list[str]:
        """The messages since then, without their prefixes. Source: Documentation/ABI/testing/dev-kmsg."""
        messages: list[str] = []
        while self._fd >= 0 and len(messages) < 100:
            try:
                record = os.read(self._fd, _LONGEST_RECORD)
            except BrokenPipeError:
                continue  # records were overwritten before they were read; the next are there
            except OSError:
                break  # EAGAIN: no more
            if not record:
                break
            messages.append(record.decode(errors="replace").partition(";")[2].split("\n")[0])
        return messages

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
