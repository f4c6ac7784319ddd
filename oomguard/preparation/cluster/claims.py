"""Claims: small files that say what is worked on, and by which process of which machine.

A claim is touched while it is worked on. One that is not touched for a minute is of a worker that ended, and so is one
whose process is gone from the machine that looks. A worker that was taken for dead finds it to be another's.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

from oomguard.errors import OomguardError
from oomguard.kernel import safe_files
from oomguard.preparation.writing.manifest import disk_error

_TOUCH_SECONDS = 5.0
_STALE_SECONDS = 60.0
_LARGEST = 1 << 10


class Claim:
    """One of them, a file."""

    touch_seconds = _TOUCH_SECONDS

    def __init__(self, path: Path) -> None:
        self._path = path
        self._touched = 0.0
        self._text = f"{who(os.getpid())}:{secrets.token_hex(8)}"

    def take(self) -> bool:
        """Claim it; False: another worker has it. Raises: BadInput if the folder cannot be written."""
        try:
            for _ in range(2):  # a stale one goes first
                if self._create():
                    self._touched = time.monotonic()
                    return True
                before = self._read()
                if not self.is_stale() or not self._remove(before):
                    return False
        except OSError as error:
            raise disk_error(error, self._path) from error
        return False

    def _create(self) -> bool:
        """Make it; False: there is one."""
        try:
            fd = safe_files.create(self._path)
        except FileExistsError:
            return False
        try:
            os.write(fd, self._text.encode())
        finally:
            os.close(fd)
        return True

    def _touch(self) -> None:
        safe_files.touch(self._path)

    def _remove(self, stale: str | None) -> bool:
        """Take a stale one away; False: another worker did so meanwhile, and this one is its own."""
        aside = self._path.with_name(f".{secrets.token_hex(8)}.stale")
        try:
            safe_files.rename(self._path, aside)
        except FileNotFoundError:
            return True
        try:
            if _text_of(aside) == stale:
                return True
            with suppress(OSError):  # a third one has it, or there are no links: its owner then begins again
                safe_files.link(aside, self._path)
            return False
        finally:
            safe_files.unlink(aside)

    def touched(self) -> float | None:
        """When it was last, by the clock of the file system; None: it is gone."""
        try:
            return self._path.stat().st_mtime
        except FileNotFoundError:
            return None

    def is_stale(self) -> bool:
        """Whether its worker ended. Raises: OSError."""
        age = self._age()
        if age is None or age >= _STALE_SECONDS:
            return True
        where, _, process = (self._read() or "").rpartition(" ")
        number, _, began = process.partition(":")
        if not number.isdecimal():
            return False  # just being made
        return where == _where() and who(int(number)) != f"{where} {number}:{began.partition(':')[0]}"

    def is_ours(self) -> bool:
        """Whether nobody has taken it for that of a dead worker."""
        return self._read() == self._text

    def keep(self) -> None:
        """Touch it now and then, while what it is of is worked on."""
        now = time.monotonic()
        if now - self._touched > self.touch_seconds:
            self._touched = now
            with suppress(OSError, OomguardError):
                self._touch()

    def give_up(self) -> None:
        """It is done, or left."""
        with suppress(OSError, OomguardError):
            if self.is_ours():
                safe_files.unlink(self._path)

    def _read(self) -> str | None:
        return _text_of(self._path)

    def _age(self) -> float | None:
        """Seconds since it was touched; None: it is gone."""
        touched = self.touched()
        return None if touched is None else self._now() - touched

    def _now(self) -> float:
        """The time by the clock of whoever has the file system: that of this machine may be another."""
        probe = self._path.with_name(f".{secrets.token_hex(8)}.time")
        try:
            fd = safe_files.create(probe, 0o600)
            try:
                return os.fstat(fd).st_mtime
            finally:
                os.close(fd)
        finally:
            safe_files.unlink(probe)


def _text_of(path: Path) -> str | None:
    try:
        return safe_files.read_there(path, _LARGEST).decode()
    except (OSError, ValueError):
        return None


def who(pid: int) -> str:
    """A process of this machine, so that another that gets its number later is told from it."""
    try:
        began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        began = "gone"
    return f"{_where()} {pid}:{began}"


def _where() -> str:
    """Which machine it is, since it was started, and the namespace in which process numbers are counted."""
    try:
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - not a path
    except OSError:
        return "unknown"
