"""A program on a part of its input: the first part of a text file, given as an argument or mounted over the file.

Source: mount_namespaces(7), user_namespaces(7). Without root it takes a user namespace, which some systems forbid.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NothingFound
from oomguard.kernel.plain_files import open_regular
from oomguard.kernel.process import own_command
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.profiling.options import ProfileOptions

_USAGE = "oomguard profile --scale-input FILE -- COMMAND, where FILE is the command's input"
_CHUNK = 1 << 20
_COPIED = 64 << 20  # bytes at once


def check_can_be_cut(path: Path) -> int:
    """Give the size of a file of text lines. Raises: NothingFound; BadInput if it is not one."""
    shown = printable(str(path))
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            beginning = file.read(_CHUNK)
    except FileNotFoundError as error:
        raise NothingFound(f"there is no file {shown}", do=_USAGE) from error
    except OSError as error:
        raise BadInput(
            f"{shown} cannot be read: {error.strerror}",
            do=_USAGE,
        ) from error
    if not size:
        raise BadInput(f"{shown} is empty", do=_USAGE)
    if b"\0" in beginning or beginning[:4] == b"PAR1":
        raise BadInput(
            f"{shown} is not text: a part of it is not a valid file of its kind",
            do="oomguard profile -- COMMAND, on smaller files of that kind",
        )
    if b"\n" not in beginning and len(beginning) == _CHUNK:
        raise BadInput(
            f"{shown} has no line end in its first {format_size(_CHUNK)}, so it cannot be cut there",
            do="oomguard profile -- COMMAND",
        )
    return size


def write_prefix(path: Path, wanted: int, target: Path) -> int:
    """Copy about the first `wanted` bytes of `path`, to the end of a line; gives how many.

    On file systems that share blocks between files nothing is copied.
    Raises: BadInput if there is no room.
    """
    free = shutil.disk_usage(target.parent).free
    if free < wanted + _CHUNK:
        raise BadInput(
            f"a part of {printable(str(path))} needs {format_size(wanted)} in {target.parent}: "
            f"{format_size(free)} is free",
            do="export TMPDIR=/var/tmp, or another folder with room",
        )
    with open_regular(path) as source, target.open("wb") as copy:
        source.seek(wanted)
        size = wanted + len(source.readline(_CHUNK))
        try:
            _copy(source.fileno(), copy.fileno(), size)
        except OSError as error:
            raise BadInput(
                f"a part of {printable(str(path))} could not be written: {error.strerror}",
                do="export TMPDIR=/var/tmp, or another folder with room",
            ) from error
    return size


def _copy(source: int, target: int, size: int) -> None:
    done = 0
    while done < size:
        try:
            got = os.copy_file_range(source, target, min(_COPIED, size - done), done, done)
        except OSError:
            chunk = os.pread(source, min(_CHUNK, size - done), done)
            got = os.pwrite(target, chunk, done)
        if got == 0:
            return  # it became shorter meanwhile
        done += got


def check_can_take_a_part(options: ProfileOptions, input_file: Path) -> None:
    """Raises: BadInput if the command would read the whole file whatever was done."""
    if _places(options.command, input_file):
        return
    if why := why_not_in_place(str(input_file.resolve())):
        raise BadInput(
            f"{printable(str(input_file))} is not an argument of the command, and a part of it cannot be mounted over "
            f"it here: {why}",
            do=f"let it take the file from its command line: -- {options.command[0]} ... FILE; or run this as root",
        )


def with_part(options: ProfileOptions, input_file: Path, part: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the command that reads `part`, and the command to show.

    Where the file is an argument of the command, the part stands there: of the same name, in another folder.
    Else it is mounted over the file, for the command alone.
    """
    if _places(options.command, input_file):
        return _replaced(options.command, input_file, part), _replaced(options.shown, input_file, part)
    command = with_part_in_place(options.command, str(input_file.resolve()), str(part))
    return command, options.shown or options.command


def _places(command: Sequence[str], input_file: Path) -> list[int]:
    """Which words of the command name the file, alone or as --flag=FILE."""
    return [number for number, word in enumerate(command) if number and _is_file(word.rpartition("=")[2], input_file)]


def _is_file(word: str, input_file: Path) -> bool:
    try:
        return bool(word) and Path(word).resolve() == input_file.resolve()
    except (OSError, ValueError):
        return False


def _replaced(command: Sequence[str], input_file: Path, part: Path) -> tuple[str, ...]:
    places = set(_places(command, input_file))
    return tuple(
        "".join((*word.rpartition("=")[:2], str(part))) if number in places else word
        for number, word in enumerate(command)
    )


_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_BIND, _RECURSIVE, _PRIVATE = 1 << 12, 1 << 14, 1 << 18  # MS_BIND, MS_REC, MS_PRIVATE
_CANNOT_EXECUTE, _NOT_FOUND = 126, 127


def with_part_in_place(command: tuple[str, ...], file: str, part: str) -> tuple[str, ...]:
    """Give the command that runs `command` with `part` in the place of `file`; both are absolute paths."""
    return tuple(own_command("oomguard.profiling.input_parts", file, part, *command))


def why_not_in_place(file: str) -> str:
    """Say why this machine cannot do that; "" where it can. Tried in a process of its own, with the file itself."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _put_in_place(file, file)
        except OSError as error:
            os.write(theirs, (error.strerror or "no reason").encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        why = answer.read().decode(errors="replace")
    os.waitpid(child, 0)
    return why


def main() -> None:
    """In the process that becomes the command."""
    file, part, *command = sys.argv[1:]
    try:
        _put_in_place(file, part)
        os.execvp(command[0], command)  # noqa: S606 - as it was given
    except FileNotFoundError:
        sys.exit(_NOT_FOUND)
    except OSError:
        sys.exit(_CANNOT_EXECUTE)


def _put_in_place(file: str, part: str) -> None:
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(_NEW_MOUNTS | (_NEW_USER if user else 0)))
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, text.encode())
            finally:
                os.close(fd)
    _check(libc.mount(b"none", b"/", None, _RECURSIVE | _PRIVATE, None))
    _check(libc.mount(os.fsencode(part), os.fsencode(file), None, _BIND, None))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
