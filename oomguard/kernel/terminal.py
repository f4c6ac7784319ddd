"""The controlling terminal, if there is one: whose it is now, one key from it, and the way it was."""

from __future__ import annotations

import os
import select
import termios
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


_LOCAL_FLAGS = 3  # of the list that tcgetattr() gives


class Keys:
    """Single keys, as they are pressed."""

    def __init__(self, fd: int | None) -> None:
        """Read from `fd`; None: there is no terminal, so no key comes."""
        self._fd = fd

    def wake_on(self) -> list[tuple[int, int]]:
        """Descriptors, with their poll events, that tell of a key."""
        return [] if self._fd is None else [(self._fd, select.POLLIN)]

    def read(self) -> str:
        """A key that was pressed, in lower case; "" for none."""
        if self._fd is None or not select.select([self._fd], [], [], 0)[0]:
            return ""
        try:
            key = os.read(self._fd, 1)
        except OSError:
            key = b""
        if not key:
            self._fd = None  # the terminal has gone: it would tell of that for ever
        return key.decode(errors="replace").lower()


class Terminal:
    """What a supervisor must know of the terminal it shares with its job. Raises: nothing; most jobs have none."""

    def __init__(self) -> None:
        """Remember how the terminal is set: a program that is killed in the middle of a screen leaves it raw."""
        try:
            self._fd: int | None = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            self._fd = None
        self._before = self._settings()

    def is_ours(self) -> bool:
        """Whether our process group is the one that the terminal listens to."""
        if self._fd is None:
            return False
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:
            return False

    def somebody_continues_us(self) -> bool:
        """Whether our parent is a shell with job control, or may be: in our session, in another group."""
        try:
            return os.getsid(os.getppid()) == os.getsid(0) and os.getpgid(os.getppid()) != os.getpgrp()
        except OSError:
            return False

    def restore(self) -> None:
        """Set the terminal as it was."""
        if self._fd is not None and self._before is not None and self.is_ours():
            try:
                termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)
            except termios.error:
                return

    @contextmanager
    def keys(self) -> Iterator[Keys]:
        """Take single keys, not lines, until the end of the block."""
        now = self._settings() if self.is_ours() else None
        if self._fd is None or now is None:
            yield Keys(None)
            return
        single = [*now]
        single[_LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
        try:
            with suppress(termios.error):
                termios.tcsetattr(self._fd, termios.TCSADRAIN, single)
            yield Keys(self._fd)
        finally:
            with suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._fd, termios.TCSADRAIN, now)

    def _settings(self) -> list[Any] | None:
        if self._fd is None:
            return None
        try:
            return termios.tcgetattr(self._fd)
        except termios.error:
            return None
