"""Run a command that finds a part of a file where the file is: a bind mount that only it and its children see.

Source: mount_namespaces(7), user_namespaces(7). Without root it takes a user namespace, which some systems forbid.
"""

from __future__ import annotations

import ctypes
import os
import sys

from oomguard.kernel.process.commands import own_command

_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000  # CLONE_NEWNS, CLONE_NEWUSER
_BIND, _RECURSIVE, _PRIVATE = 1 << 12, 1 << 14, 1 << 18  # MS_BIND, MS_REC, MS_PRIVATE
_CANNOT_EXECUTE, _NOT_FOUND = 126, 127


def with_part_in_place(command: tuple[str, ...], file: str, part: str) -> tuple[str, ...]:
    """Give the command that runs `command` with `part` in the place of `file`; both are absolute paths."""
    return tuple(own_command("oomguard.profiling.scaling.bind_mount", file, part, *command))


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
