"""Change /etc/fstab: a whole new file under another name, synced, then renamed over it; a backup stays."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from oomguard.errors import NeedsPrivilege, SwapFailed
from oomguard.formats.mounts import add_line, has_swap_line, remove_swap_lines, without_swap_lines
from oomguard.kernel import safe_files
from oomguard.kernel.plain_files import read_regular

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
