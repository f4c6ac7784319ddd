"""Files of servers kept in a folder (`--cache`): where each is, and how it comes there.

A file is written under another name until it is whole and its hash, where the server has told one, is right. The folder
of a file names the version that it is of, so that none is taken for another; where the server names none, none is kept.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import secrets
import shutil
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.kernel import safe_files
from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.remote.remote_file import RemoteFile
from oomguard.text import printable, shell_word
from oomguard.units import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK = 256 * KIB
_WORTH_SAYING = 64 * MIB  # a file of such a size takes long enough to be named
_SPARE = 64 * MIB  # of the disk


def kept_path(folder: Path, address: str, pin: str) -> Path:
    """Where a file is kept: FOLDER/SCHEME/VERSION/ADDRESS."""
    scheme, _, rest = address.partition("://")
    version = hashlib.sha256(pin.encode()).hexdigest()[:12]
    parts = [part if part not in ("", ".", "..") else f"%{part}" for part in rest.split("/")]
    return folder.joinpath(scheme, version, *parts)


def kept_address(folder: Path, path: str) -> str | None:
    """The address of a file that is kept there; None: it is no such path."""
    try:
        scheme, _, *parts = Path(path).relative_to(folder).parts
    except ValueError:
        return None
    return f"{scheme}://{'/'.join(parts)}"


def is_kept(path: Path, size: int) -> bool:
    """Whether it is there, and whole."""
    with suppress(OSError):
        return path.stat().st_size == size
    return False


def keep(files: Sequence[tuple[str, int, str]], folder: Path) -> None:
    """Fetch what is not there yet, of address, size and pin. Raises: OomguardError."""
    missing = []
    for address, size, pin in files:
        path = kept_path(folder, address, pin)
        if not pin:
            said = f"{printable(address)}: not kept in --cache, as the server does not say which version it is"
            print(said, file=sys.stderr, flush=True)
        elif not is_kept(path, size):
            missing.append(((address, size, pin), path))
    needed = sum(size for (_, size, _), _ in missing)
    try:
        safe_files.make_folder(folder)
        free = shutil.disk_usage(folder).free
        if needed + _SPARE > free:
            raise BadInput(
                f"--cache {printable(str(folder))}: {format_size(needed)} to fetch, and {format_size(free)} is free",
                do="--cache on another disk; or leave it out: then files are read as they come, and none is kept",
            )
        for number, ((address, size, pin), path) in enumerate(missing):
            if size >= _WORTH_SAYING:
                said = f"{printable(address)}: {format_size(size)} is fetched, file {number + 1} of {len(missing)}"
                print(said, file=sys.stderr, flush=True)
            _fetch(RemoteFile(address, size, pin), path)
    except OSError as error:
        shown, word = printable(str(folder)), shell_word(str(folder))
        raise BadInput(f"--cache {shown}: {error.strerror}", do=f"df -h {word}; ls -ld {word}") from error


def _fetch(file: RemoteFile, path: Path) -> None:
    safe_files.make_folder(path.parent)
    _remove_left(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    with closing(file), os.fdopen(safe_files.create(temporary), "wb", buffering=0) as out:
        try:
            fcntl.flock(out, fcntl.LOCK_EX)
            while block := file.read(_BLOCK):
                out.write(block)
            os.fsync(out.fileno())
            if out.tell() != file.size:
                raise OSError(None, f"{file.name} ended at byte {out.tell():,}")  # noqa: TRY301
            safe_files.rename(temporary, path)
        except BaseException:
            safe_files.unlink(temporary)
            raise
    safe_files.sync_folder(path.parent)


def _remove_left(path: Path) -> None:
    """What a fetch has left that was killed: nobody holds its lock."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with suppress(OSError), open_regular(left) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            safe_files.unlink(left)
