"""Change /etc/fstab: a whole new file under another name, synced, then renamed over it; a backup stays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from oomguard.errors import NeedsPrivilege, SwapFailed
from oomguard.formats.mounts import add_line, has_swap_line, remove_swap_lines

_NEW = "fstab.oomguard-new"
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
    try:
        # Bytes that are not UTF-8, in a comment, are kept as they were.
        with (root / "etc/fstab").open(encoding="utf-8", errors="surrogateescape", newline="") as fstab:
            return fstab.read()
    except FileNotFoundError:
        return ""


def _replace(text: str, before: str, root: Path) -> None:
    fstab = root / "etc/fstab"
    if fstab.is_symlink():
        raise SwapFailed(
            f"{fstab} is a symbolic link: another program manages it",
            do="switch the swap on at boot there (NixOS: swapDevices), and leave out --persist",
        )
    try:
        if fstab.exists():
            _write(fstab.with_name(BACKUP), before, like=fstab)
        new = fstab.with_name(_NEW)
        _write(new, text, like=fstab)
        new.replace(fstab)
        _sync_folder(fstab.parent)
    except OSError as error:
        fstab.with_name(_NEW).unlink(missing_ok=True)
        kind = NeedsPrivilege if isinstance(error, PermissionError) else SwapFailed
        raise kind(f"cannot change {fstab}: {error.strerror}", do="run it without --persist, or as root") from error


def _write(path: Path, text: str, *, like: Path) -> None:
    path.unlink(missing_ok=True)  # whatever was left there, also a link
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write(text)
        file.flush()
        if like.exists():
            shutil.copystat(like, path)  # the mode, and SELinux's label
            os.fchown(fd, like.stat().st_uid, like.stat().st_gid)
        os.utime(fd)
        os.fsync(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
