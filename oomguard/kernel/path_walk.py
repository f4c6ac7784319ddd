"""A path walked from the root by descriptors, through no link that was not looked at: where it leads, whose it is."""

from __future__ import annotations

import errno
import os
import pwd
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from oomguard.errors import NotOurs
from oomguard.records import dataclass
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_MOST_LINKS = 40  # as the kernel
_ALL_IDS = (1 << 32) - 1
_FOLDER = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf files are made."""

    uid: int
    gid: int | None
    trusted: frozenset[int] | None  # None: not root, the kernel sees to what may be done

    @classmethod
    def now(cls) -> Caller:
        """Whoever runs this process; as root, the user who called sudo."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), None, None)
        uid, gid = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
        known = uid.isascii() and uid.isdecimal() and len(uid) < 11
        called = int(uid) if known else 0
        group = int(gid) if known and gid.isascii() and gid.isdecimal() and len(gid) < 11 else None
        return cls(called, group, frozenset({0, called, *_unknown_owners()}))

    def may_use(self, status: os.stat_result) -> bool:
        """Whether what is so owned may be walked through."""
        if self.trusted is None or status.st_uid in self.trusted:
            return True
        return self.uid == 0 and not stat.S_ISLNK(status.st_mode) and _is_from_outside(status.st_uid)

    def check(self, status: os.stat_result, path: str) -> None:
        """Raises: NotOurs if it may not."""
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
class Place:
    """A folder that was walked to, open, and the name in it."""

    fd: int
    name: str
    path: str


@contextmanager
def walk(path: Path | str, *, follow: bool = False, make: bool = False) -> Iterator[Place]:
    """Walk to the folder that holds `path`; with `follow`, through links of the last name too.

    With `make`, `path` is a folder, which is made with those above it.
    """
    caller = Caller.now()
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
        yield Place(fd, name, shown)
    finally:
        os.close(fd)


def _step(fd: int, name: str, caller: Caller, shown: str, *, make: bool) -> int | None:
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


def _give_by_name(caller: Caller, fd: int, parent: os.stat_result) -> None:
    opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=fd)
    try:
        caller.give(opened, parent)
    finally:
        os.close(opened)


def open_through_links(path: str, flags: int) -> int:
    """Open what is to be read: a link of a user who is not trusted leads to files of that user's own only.

    Its folders may be anybody's. Raises: OSError.
    """
    trusted = Caller.now().trusted
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
        raise PermissionError(
            errno.EACCES, f"a link that belongs to {planter} leads there, to a file that belongs to {whose}", path
        )
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
