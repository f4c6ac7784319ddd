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
import pwd
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from oomguard.errors import NotOurs
from oomguard.records import dataclass
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_MOST_LINKS = 40  # as the kernel
_RACES = 10
_ALL_IDS = (1 << 32) - 1
_FOLDER = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Caller:
    """On whose behalf files are made."""

    uid: int
    gid: int | None
    trusted: frozenset[int] | None  # None: not root, the kernel sees to what may be done

    @classmethod
    def now(cls) -> _Caller:
        if os.geteuid() != 0:
            return cls(os.geteuid(), None, None)
        uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
        known = uid.isascii() and uid.isdecimal() and len(uid) < 11
        called = int(uid) if known else 0
        group = int(gid) if known and gid.isascii() and gid.isdecimal() and len(gid) < 11 else None
        return cls(called, group, frozenset({0, called, *_unknown_owners()}))

    def may_use(self, status: os.stat_result) -> bool:
        if self.trusted is None or status.st_uid in self.trusted:
            return True
        return self.uid == 0 and not stat.S_ISLNK(status.st_mode) and _is_from_outside(status.st_uid)

    def check(self, status: os.stat_result, path: str) -> None:
        if not self.may_use(status):
            raise not_ours(path, status.st_uid)

    def give(self, fd: int, parent: os.stat_result) -> None:
        """What was made in a folder of the user who called sudo is that user's."""
        if self.trusted is None or parent.st_uid == 0 or parent.st_uid != self.uid:
            return
        keeps_group = self.gid is None or parent.st_mode & stat.S_ISGID
        os.chown(fd, self.uid, -1 if keeps_group else self.gid or 0)


def _unknown_owners() -> list[int]:
    """In a user namespace of some ids, as rootless containers have: whoever has none in it, the machine's root too."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as ids:  # noqa: PTH123 - beside the other calls of os
            maps_all = int(ids.read().split()[2]) == _ALL_IDS
        with open("/proc/sys/kernel/overflowuid", encoding="ascii") as overflow:  # noqa: PTH123
            return [] if maps_all else [int(overflow.read())]
    except (OSError, ValueError, IndexError):
        return []


def _is_from_outside(uid: int) -> bool:
    """Whether, in a container, this owner is only known outside, as that of a folder which is mounted from there.

    Nobody in the container can interfere then: the owner has no name and no process in it. It is asked each time, as a
    process of that owner's may start later. Links of such an owner are not followed all the same: what is made stays in
    that folder.
    """
    from oomguard.kernel.machine import container_name  # here: it is seldom asked

    return container_name() is not None and _name_of(uid) is None and not _has_a_process(uid)


def _has_a_process(uid: int) -> bool:
    with os.scandir("/proc") as entries:
        for entry in entries:
            with suppress(OSError):  # it has ended
                if entry.name.isdecimal() and entry.stat().st_uid == uid:
                    return True
    return False


def _name_of(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def not_ours(path: str, uid: int) -> NotOurs:
    """Root does not write there."""
    from oomguard.kernel.machine import container_name

    name = _name_of(uid)
    user = f"'#{uid}'" if name is None else name
    do = f"name a folder of yours, or run it as its owner: sudo -u {user} $(command -v oomguard) ..."
    if container_name() is not None:
        do = f"name a folder of root's, or start the container as the owner: docker run --user {uid} ..."
    owner = printable(name or f"uid {uid}")
    return NotOurs(f"{printable(path)} belongs to {owner}: root writes only where nobody else can interfere", do=do)


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder that was walked to, open, and the name in it."""

    fd: int
    name: str
    path: str


@contextmanager
def _walk(path: Path | str, *, follow: bool = False, make: bool = False) -> Iterator[_Place]:
    """Walk to the folder that holds `path`; with `follow`, through links of the last name too.

    With `make`, `path` is a folder, which is made with those above it.
    """
    caller = _Caller.now()
    shown = os.path.join(os.getcwd(), path) if not os.path.isabs(path) else str(path)  # noqa: PTH109, PTH117, PTH118 - a ".." stays
    parts = [part for part in shown.split("/") if part not in ("", ".")][::-1]
    fd, links, name = os.open("/", _FOLDER | os.O_DIRECTORY), 0, "."
    try:
        while parts:
            name = parts.pop()
            if not parts and not follow and not make:
                break
            step = _step(fd, name, caller, shown, make=make)
            if step is None:  # the last name, of a file that is not there
                if parts:
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), shown)
                break
            status = os.fstat(step)
            if stat.S_ISLNK(status.st_mode) and not (not parts and status.st_dev == _proc()):
                links += 1
                target = _target(step, links, shown)
                parts += [part for part in target.split("/") if part not in ("", ".")][::-1]
                if target.startswith("/"):
                    os.close(fd)
                    fd = os.open("/", _FOLDER | os.O_DIRECTORY)
                os.close(step)
            elif parts or make:
                os.close(fd)
                fd, name = step, "."
            else:
                os.close(step)
        yield _Place(fd, name, shown)
    finally:
        os.close(fd)


def _step(fd: int, name: str, caller: _Caller, shown: str, *, make: bool) -> int | None:
    """Open one name on the way, with whose it is checked. None: there is none."""
    parent = os.fstat(fd)
    made = False
    try:
        step = os.open(name, _FOLDER, dir_fd=fd)
    except FileNotFoundError:
        if not make:
            return None
        with suppress(FileExistsError):
            os.mkdir(name, 0o755 if caller.trusted else 0o777, dir_fd=fd)
            made = True
        step = os.open(name, _FOLDER, dir_fd=fd)
    try:
        status = os.fstat(step)
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            caller.check(status, shown)
        if made:
            _give_by_name(caller, step, parent)
    except BaseException:
        os.close(step)
        raise
    return step


def _give_by_name(caller: _Caller, fd: int, parent: os.stat_result) -> None:
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        caller.give(opened, parent)
    finally:
        os.close(opened)


def open_through_links(path: str, flags: int) -> int:
    """Open what is to be read: a link of a user who is not trusted leads to files of that user's own only.

    Its folders may be anybody's. Raises: OSError.
    """
    trusted = _Caller.now().trusted
    parts = [part for part in path.split("/") if part not in ("", ".")][::-1]
    fd, links, planters = os.open("/" if path.startswith("/") else ".", _FOLDER | os.O_DIRECTORY), 0, set[int]()
    try:
        while parts:
            name = parts.pop()
            status = os.stat(name, dir_fd=fd, follow_symlinks=False)
            # /proc's links are the kernel's, and lead to what is open; any other that is there now is followed by hand.
            no_follow = 0 if stat.S_ISLNK(status.st_mode) and status.st_dev == _proc() else os.O_NOFOLLOW
            if no_follow and stat.S_ISLNK(status.st_mode):
                target, owner = _read_link(fd, name)
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                planters |= {owner} - (trusted or {owner})
                parts += [part for part in target.split("/") if part not in ("", ".")][::-1]
                if not target.startswith("/"):
                    continue
                step = os.open("/", _FOLDER | os.O_DIRECTORY)
            elif parts:
                step = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | no_follow, dir_fd=fd)
            else:
                return _open_own(fd, name, flags | no_follow, planters, path)
            os.close(fd)
            fd = step
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    finally:
        os.close(fd)


def _read_link(folder: int, name: str) -> tuple[str, int]:
    """Where a link leads, and whose it is."""
    fd = os.open(name, _FOLDER, dir_fd=folder)
    try:
        return os.readlink("", dir_fd=fd), os.fstat(fd).st_uid
    finally:
        os.close(fd)


def _open_own(folder: int, name: str, flags: int, planters: set[int], path: str) -> int:
    """Open a file to which links of these users led."""
    fd = os.open(name, flags, dir_fd=folder)
    owner = os.fstat(fd).st_uid
    if others := planters - {owner}:
        os.close(fd)
        planter, whose = (_name_of(uid) or f"uid {uid}" for uid in (min(others), owner))
        raise PermissionError(errno.EACCES, f"a link of {planter}'s leads there, to a file of {whose}'s", path)
    return fd


def _proc() -> int:
    """The file system whose last links lead to what is open (/dev/stdout, /dev/fd/N), and are no paths."""
    try:
        return os.stat("/proc/self/fd").st_dev  # noqa: PTH116 - beside the other calls of os
    except OSError:
        return -1


def _target(link: int, links: int, shown: str) -> str:
    if links > _MOST_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), shown)
    return os.readlink("", dir_fd=link)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are not there; check whose they are."""
    with _walk(folder, make=True) as place:
        if not stat.S_ISDIR(os.fstat(place.fd).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def check_folder(folder: Path) -> None:
    """Whether files may be made in `folder`, or in the nearest one above it that is there. Changes nothing."""
    while not folder.is_dir() and folder.parent != folder:
        folder = folder.parent
    with _walk(folder / "x"):
        return


def create(path: Path, mode: int = 0o644, flags: int = os.O_RDWR) -> int:
    """Make a file that was not there, and open it."""
    with _walk(path) as place:
        return _create(place, mode, flags)


def _create(place: _Place, mode: int, flags: int = os.O_RDWR, name: str | None = None) -> int:
    _check_parent(place)
    caller = _Caller.now()
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


def _check_parent(place: _Place) -> None:
    _Caller.now().check(os.fstat(place.fd), place.path)


def open_or_create(path: Path, mode: int = 0o644) -> int:
    """Open a file that is there for all runs, such as a lock; make it where it is not."""
    with _walk(path) as place:
        for _ in range(_RACES):
            with suppress(FileNotFoundError):
                return _open_there(place, os.O_RDWR)
            with suppress(FileExistsError):
                return _create(place, mode)
    raise FileExistsError(errno.EEXIST, "it comes and goes", str(path))


def open_there(path: Path, flags: int = os.O_RDWR) -> int:
    """Open a regular file that is there, not a link to one. As root: root's or the caller's, with no second name."""
    with _walk(path) as place:
        return _open_there(place, flags)


def read_there(path: Path, most: int) -> bytes:
    """Read such a file whole, of `most` bytes at most."""
    with os.fdopen(open_there(path, os.O_RDONLY), "rb") as file:
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def _open_there(place: _Place, flags: int) -> int:
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
    caller = _Caller.now()
    caller.check(status, path)
    if caller.trusted is not None and status.st_nlink > 1 and writes:
        raise OSError(errno.EMLINK, "the file has another hard link, elsewhere", path)


def open_named(path: Path, mode: int = 0o666, flags: int = os.O_RDWR) -> tuple[int, Literal["new", "there", "stream"]]:
    """Open what a user named for a result: a new file, one that is there, or a stream (a device, a pipe).

    Links of the user's lead on. Nothing is truncated: look at what is there first.
    """
    with _walk(path, follow=True) as place:
        try:
            status = os.stat(place.name, dir_fd=place.fd, follow_symlinks=False)
        except FileNotFoundError:
            return _create(place, mode, flags), "new"
        if stat.S_ISREG(status.st_mode):
            return _open_there(place, flags), "there"
        # A device, a pipe, or what /dev/stdout and /dev/fd/N lead to: nothing of it can be lost.
        return _open_stream(place, status, flags | os.O_NOCTTY | os.O_CLOEXEC), "stream"


def _open_stream(place: _Place, status: os.stat_result, flags: int) -> int:
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


def _only_stream(fd: int, place: _Place) -> int:
    """Close what took the place of a device or pipe, and a pipe in which another user would read what root writes."""
    status, caller = os.fstat(fd), _Caller.now()
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
    with _walk(path, follow=follow) as place:
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
    with _walk(source) as old, _walk(target) as new:
        _check_parent(old)
        _check_parent(new)
        os.rename(old.name, new.name, src_dir_fd=old.fd, dst_dir_fd=new.fd)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, where there is none yet."""
    with _walk(source) as old, _walk(target) as new:
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
    with suppress(FileNotFoundError), _walk(path) as place:
        _check_parent(place)
        os.unlink(place.name, dir_fd=place.fd)


def remove_tree(folder: Path) -> None:
    """Take away a folder and what is in it, never through a link. Raises: nothing; what cannot be removed stays."""
    with suppress(OSError, NotOurs), _walk(folder) as place:
        _check_parent(place)
        shutil.rmtree(place.name, ignore_errors=True, dir_fd=place.fd)


def open_folder(folder: Path) -> int:
    """Open a folder in which files may be made, for the *at() calls."""
    with _walk(folder / "x") as place:
        _check_parent(place)
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place.fd)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    with _walk(folder / "x") as place:
        _sync(place.fd)


def _sync(folder: int) -> None:
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
