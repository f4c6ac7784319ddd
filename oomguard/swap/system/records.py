"""What is written down of swap: what oomguard made, before it is made, and its lines in /etc/fstab.

One JSON file for each swap file, in /var/lib/oomguard/swap. Only root writes there; anybody may read.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import InUse, NeedsPrivilege, SwapFailed
from oomguard.formats.mounts import add_line, has_swap_line, remove_swap_lines, without_swap_lines
from oomguard.kernel import safe_files
from oomguard.kernel.plain_files import read_regular
from oomguard.text import as_root, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = "var/lib/oomguard/swap"
_LOCK = "run/oomguard/swap.lock"
_SCHEMA = "oomguard.swap_record/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRecord:
    """One swap file that oomguard makes, or made."""

    path: str
    size: int  # bytes
    state: Literal["making", "on"]  # "making" without a running oomguard: it was killed in the middle
    until: Literal["removed", "command"]  # "command": it goes when the command of --for ends
    persist: bool  # oomguard wrote, or was about to write, its line in fstab
    subvolume: str | None  # the btrfs subvolume that was made for it
    inode: int | None  # of the file; None: it may not have been made yet
    generation: int | None  # of the inode, whose number a later file may get; None: this file system keeps none
    maker_pid: int
    begun: float  # seconds since 1970


class SwapRecords:
    """The records of a machine, for as long as its lock is held."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def all(self) -> list[SwapRecord]:
        """Every record that can be read."""
        return read_records(self._root)

    def write(self, record: SwapRecord) -> None:
        """Write or replace a record, on the disk before it returns.

        Raises: SwapFailed if it cannot be written.
        """
        file = _file(record.path, self._root)
        try:
            safe_files.make_folder(file.parent)
            text = json.dumps({"schema": _SCHEMA, **asdict(record)})
            with safe_files.replacing(file, beside=file.with_suffix(".new").name) as stream:
                stream.write(text.encode(errors="surrogateescape"))
        except OSError as error:
            raise SwapFailed(
                f"cannot record what is made in {file.parent}: {error.strerror}",
                do=f"df -h {shell_word(str(file.parent))}",
            ) from error

    def forget(self, path: str) -> None:
        """Remove a record, and the folder after the last. Harmless if there is none."""
        file = _file(path, self._root)
        for name in (file, file.with_suffix(".new"), file.with_suffix(".alive")):
            safe_files.unlink(name)
        for folder in (file.parent, file.parent.parent):
            with suppress(OSError):  # other records are in it, or it is gone
                folder.rmdir()

    def hold(self, path: str) -> int:
        """Mark a swap file as used by a command: as long as this descriptor, also an inherited one, is open."""
        fd = safe_files.open_or_create(_file(path, self._root).with_suffix(".alive"), 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd


def read_records(root: Path = Path("/")) -> list[SwapRecord]:
    """Every record that can be read; needs no right and no lock."""
    try:
        files = sorted((root / _FOLDER).glob("*.json"))
    except OSError:
        return []
    found = [_parse(file) for file in files]
    return [record for record in found if record is not None]


def is_left_over(record: SwapRecord, root: Path = Path("/")) -> bool:
    """Whether a killed run left it. Ask while the lock is held: then nobody is just making it."""
    if record.state == "making":
        return True
    return record.until == "command" and not _is_held(_file(record.path, root).with_suffix(".alive"))


@contextmanager
def locked_records(root: Path = Path("/")) -> Iterator[SwapRecords]:
    """Hold the machine's records until the block ends. The lock ends with the process, however it ends.

    Raises: InUse if another oomguard holds them; NeedsPrivilege where they may not be written.
    """
    lock = root / _LOCK
    try:
        safe_files.make_folder(lock.parent)
        fd = safe_files.open_or_create(lock, 0o600)
    except OSError as error:
        kind = NeedsPrivilege if isinstance(error, PermissionError) else SwapFailed
        raise kind(f"cannot open {lock}: {error.strerror}", do=as_root("swap ...")) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield SwapRecords(root)
    except BlockingIOError as error:
        raise InUse(
            "another oomguard is adding or removing swap", do="wait for it, then run the same command again"
        ) from error
    finally:
        os.close(fd)


def _file(path: str, root: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    return root / _FOLDER / f"{digest}.json"


def _is_held(alive: Path) -> bool:
    try:
        fd = os.open(alive, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return True  # a user cannot tell; root's next call will
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _parse(file: Path) -> SwapRecord | None:
    try:
        found: Any = json.loads(file.read_text(encoding="utf-8", errors="surrogateescape"))
        if found.get("schema") != _SCHEMA:
            return None
        return SwapRecord(**{field.name: found[field.name] for field in fields(SwapRecord)})
    except (OSError, ValueError, KeyError, AttributeError):
        return None


_LARGEST = 16 << 20  # bytes of fstab
BACKUP = "fstab.before-oomguard"


def has_line(path: str, *, root: Path = Path("/")) -> bool:
    """Whether fstab switches the swap file `path` on at boot."""
    return has_swap_line(_read(root), path)


def add_swap_line(line: str, path: str, *, root: Path = Path("/")) -> bool:
    """Add the line that switches `path` on at boot. Says False where fstab has one already: never twice.

    Raises: SwapFailed or NeedsPrivilege if fstab may not be changed; it is as before then.
    """
    text = _read(root)
    if has_swap_line(text, path):
        return False
    _replace(add_line(text, line), text, root)
    return True


def remove_swap_line(path: str, *, root: Path = Path("/")) -> bool:
    """Take out the lines that switch `path` on at boot. Says whether there was one. Raises: as add_swap_line."""
    text = _read(root)
    if not has_swap_line(text, path):
        return False
    _replace(remove_swap_lines(text, path), text, root)
    return True


def _read(root: Path) -> str:
    fstab = root / "etc/fstab"
    try:
        # Bytes that are not UTF-8, in a comment, are kept as they were.
        return read_regular(fstab, _LARGEST).decode(errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise SwapFailed(f"cannot read {fstab}: {error.strerror}", do="run it without --persist") from error


def _replace(text: str, before: str, root: Path) -> None:
    fstab = root / "etc/fstab"
    if fstab.is_symlink():
        raise SwapFailed(
            f"{fstab} is a symbolic link: another program manages it",
            do="switch the swap on at boot there (NixOS: swapDevices), and leave out --persist",
        )
    try:
        there = _attributes(fstab)
        if there is not None and not _is_before(backup := fstab.with_name(BACKUP), before):
            _write(backup, before, there)
        _write(fstab, text, there)
    except OSError as error:
        kind = NeedsPrivilege if isinstance(error, PermissionError) else SwapFailed
        raise kind(f"cannot change {fstab}: {error.strerror}", do="run it without --persist, or as root") from error


def _is_before(backup: Path, text: str) -> bool:
    """Whether the backup differs from fstab in lines for swap alone: then it is from before the first of ours."""
    try:
        kept = read_regular(backup, _LARGEST).decode(errors="surrogateescape")
    except OSError:
        return False
    return without_swap_lines(kept) == without_swap_lines(text)


@dataclass(frozen=True, slots=True)
class _Attributes:
    """What a new file keeps of the one that it replaces."""

    status: os.stat_result
    extended: dict[str, bytes]  # SELinux's label is one


def _attributes(file: Path) -> _Attributes | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    try:
        return _Attributes(status, {name: os.getxattr(file, name) for name in os.listxattr(file)})
    except OSError:  # a file system without
        return _Attributes(status, {})


def _write(path: Path, text: str, like: _Attributes | None) -> None:
    with safe_files.replacing(path, beside=f"{path.name.partition('.')[0]}.oomguard-new") as file:
        file.write(text.encode(errors="surrogateescape"))
        if like is None:
            return
        os.fchmod(file.fileno(), stat.S_IMODE(like.status.st_mode))
        os.fchown(file.fileno(), like.status.st_uid, like.status.st_gid)
        for name, value in like.extended.items():
            with suppress(OSError):
                os.setxattr(file.fileno(), name, value)
