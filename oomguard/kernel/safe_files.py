"""Open, make and replace files where others may have been before: the one way in which oomguard writes by a name.

Each call walks the path from the root by descriptors, never through a link that it has not looked at. As root each
folder and each link on the way must belong to root, or to the user who called sudo: nobody else can then make it lead
elsewhere, at any moment. What is made in a folder of the user who called sudo belongs to that user.
A new file is new (O_EXCL); one that is opened is a regular file; one that is replaced is whole or as before.
Raises: OSError, for the caller to explain; NotOurs where root would write in another user's folder.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from oomguard.errors import NotOurs
from oomguard.kernel.path_walk import Caller, Place, walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO


_RACES = 10


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are not there; check whose they are."""
    with walk(folder, make=True) as place:
        if not stat.S_ISDIR(os.fstat(place.fd).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def check_folder(folder: Path) -> None:
    """Whether files may be made in `folder`, or in the nearest one above it that is there. Changes nothing."""
    while not folder.is_dir() and folder.parent != folder:
        folder = folder.parent
    with walk(folder / "x"):
        return


def create(path: Path, mode: int = 0o644, flags: int = os.O_RDWR) -> int:
    """Make a file that was not there, and open it."""
    with walk(path) as place:
        return _create(place, mode, flags)


def _create(place: Place, mode: int, flags: int = os.O_RDWR, name: str | None = None) -> int:
    _check_parent(place)
    caller = Caller.now()
    fd = os.open(
        place.name if name is None else name,
        flags | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC,
        mode & ~0o022 if caller.trusted else mode,  # whatever the umask: what root makes only its owner may change
        dir_fd=place.fd,
    )
    try:
        caller.give(fd, os.fstat(place.fd))
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_parent(place: Place) -> None:
    Caller.now().check(os.fstat(place.fd), place.path)


def open_or_create(path: Path, mode: int = 0o644) -> int:
    """Open a file that is there for all runs, such as a lock; make it where it is not."""
    with walk(path) as place:
        for _ in range(_RACES):
            with suppress(FileNotFoundError):
                return _open_there(place, os.O_RDWR)
            with suppress(FileExistsError):
                return _create(place, mode)
    raise FileExistsError(errno.EEXIST, "it keeps appearing and disappearing", str(path))


def open_there(path: Path, flags: int = os.O_RDWR) -> int:
    """Open a regular file that is there, not a link to one. As root: root's or the caller's, with no second name."""
    with walk(path) as place:
        return _open_there(place, flags)


def read_there(path: Path, most: int) -> bytes:
    """Read such a file whole, of `most` bytes at most."""
    with os.fdopen(open_there(path, os.O_RDONLY), "rb") as file:
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def _open_there(place: Place, flags: int) -> int:
    _check_parent(place)
    fd = os.open(place.name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=place.fd)
    try:
        _check_opened(os.fstat(fd), place.path, writes=bool(flags & (os.O_WRONLY | os.O_RDWR)))
        os.set_blocking(fd, True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_opened(status: os.stat_result, path: str, *, writes: bool) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    caller = Caller.now()
    caller.check(status, path)
    if caller.trusted is not None and status.st_nlink > 1 and writes:
        raise OSError(errno.EMLINK, "the file has another hard link, elsewhere", path)


def open_named(path: Path, mode: int = 0o666, flags: int = os.O_RDWR) -> tuple[int, Literal["new", "there", "stream"]]:
    """Open what a user named for a result: a new file, one that is there, or a stream (a device, a pipe).

    Links of the user's lead on. Nothing is truncated: look at what is there first.
    """
    with walk(path, follow=True) as place:
        try:
            status = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
        except FileNotFoundError:
            return _create(place, mode, flags), "new"
        if stat.S_ISREG(status.st_mode):
            return _open_there(place, flags), "there"
        # A device, a pipe, or what /dev/stdout and /dev/fd/N lead to: nothing of it can be lost.
        return _open_stream(place, status, flags | os.O_NOCTTY | os.O_CLOEXEC), "stream"


def _open_stream(place: Place, status: os.stat_result, flags: int) -> int:
    write_only = flags & ~os.O_RDWR | os.O_WRONLY
    if stat.S_ISLNK(status.st_mode):  # one of /proc's, which nobody can make lead elsewhere
        try:
            return os.open(place.name, flags, dir_fd=place.fd)
        except PermissionError:
            return os.open(place.name, write_only, dir_fd=place.fd)  # the write end of a pipe
    if not stat.S_ISFIFO(status.st_mode):
        return _only_stream(os.open(place.name, flags | os.O_NOFOLLOW, dir_fd=place.fd), place)
    try:
        fd = os.open(place.name, write_only | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place.fd)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError(errno.ENXIO, "nobody reads from this pipe", place.path) from error
        raise
    os.set_blocking(_only_stream(fd, place), True)
    return fd


def _only_stream(fd: int, place: Place) -> int:
    """Close what took the place of a device or pipe, and a pipe in which another user would read what root writes."""
    status, caller = os.fstat(fd), Caller.now()
    if not stat.S_ISREG(status.st_mode) and (not stat.S_ISFIFO(status.st_mode) or caller.may_use(status)):
        return fd
    os.close(fd)
    caller.check(status, place.path)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), place.path)


@contextmanager
def replacing(
    path: Path, mode: int = 0o644, *, follow: bool = False, new_only: bool = False, beside: str | None = None
) -> Iterator[BinaryIO]:
    """Write a file whole, beside its place, and put it there when the block ends well; else nothing has changed.

    The name meanwhile cannot be guessed, or is `beside`, in a folder of oomguard's own, where the next run replaces
    what a killed one left. Both the file and its folder are on the disk after that.
    """
    with walk(path, follow=follow) as place:
        if beside is None:
            beside = f".{place.name[:200]}.{os.urandom(8).hex()}.new"
        else:
            _check_parent(place)
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=place.fd)  # it may be anything, and lead anywhere
        fd = _create(place, mode, os.O_WRONLY, beside)
        try:
            with os.fdopen(fd, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if new_only:
                os.link(beside, place.name, src_dir_fd=place.fd, dst_dir_fd=place.fd, follow_symlinks=False)
            else:
                os.rename(beside, place.name, src_dir_fd=place.fd, dst_dir_fd=place.fd)
            _sync(place.fd)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(beside, dir_fd=place.fd)


def rename(source: Path, target: Path) -> None:
    """Give a file another name, in the same folder or another one."""
    with walk(source) as old, walk(target) as new:
        _check_parent(old)
        _check_parent(new)
        os.rename(old.name, new.name, src_dir_fd=old.fd, dst_dir_fd=new.fd)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, where there is none yet."""
    with walk(source) as old, walk(target) as new:
        _check_parent(old)
        _check_parent(new)
        os.link(old.name, new.name, src_dir_fd=old.fd, dst_dir_fd=new.fd, follow_symlinks=False)


def touch(path: Path) -> None:
    """Set the times of a file that is there to now."""
    fd = open_there(path, os.O_WRONLY)
    try:
        os.utime(fd)
    finally:
        os.close(fd)


def unlink(path: Path) -> None:
    """Take a name away, if it is there."""
    with suppress(FileNotFoundError), walk(path) as place:
        _check_parent(place)
        os.unlink(place.name, dir_fd=place.fd)


def remove_tree(folder: Path) -> None:
    """Take away a folder and what is in it, never through a link. Raises: nothing; what cannot be removed stays."""
    with suppress(OSError, NotOurs), walk(folder) as place:
        _check_parent(place)
        shutil.rmtree(place.name, ignore_errors=True, dir_fd=place.fd)


def open_folder(folder: Path) -> int:
    """Open a folder in which files may be made, for the *at() calls."""
    with walk(folder / "x") as place:
        _check_parent(place)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.fd)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    with walk(folder / "x") as place:
        _sync(place.fd)


def _sync(folder: int) -> None:
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
