"""Files in folders where another user has been, or is just now: what root makes there leads nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import NotOurs
from oomguard.kernel import machine, safe_files

if TYPE_CHECKING:
    from collections.abc import Callable

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


def fill(path: Path) -> None:
    with safe_files.replacing(path) as file:
        file.write(b"new")


def make(path: Path) -> None:
    os.close(safe_files.create(path))


def lock(path: Path) -> None:
    os.close(safe_files.open_or_create(path))


def take_named(path: Path) -> None:
    os.close(safe_files.open_named(path)[0])


def take_there(path: Path) -> None:
    os.close(safe_files.open_there(path))


def give_second_name(path: Path) -> None:
    if not os.path.lexists(source := path.with_name("of")):
        source.touch()
    safe_files.link(source, path)


WRITERS: list[Callable[[Path], None]] = [fill, make, lock, take_named]


@pytest.mark.parametrize("write", [make, lock, take_there, safe_files.touch, give_second_name])
def test_a_planted_link_is_not_followed(tmp_path: Path, write: Callable[[Path], None]) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "link").symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "made")
    for name in ("link", "dangling"):
        with pytest.raises(OSError, match="symbolic links|exists"):
            write(tmp_path / name)
    assert victim.read_text() == "kept"
    assert not (tmp_path / "made").exists()


def test_what_is_replaced_is_whole_or_as_before(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("before")
    other = tmp_path / "other name"
    os.link(file, other)
    with pytest.raises(ZeroDivisionError), safe_files.replacing(file) as new:
        new.write(b"half")
        raise ZeroDivisionError
    assert file.read_text() == "before"
    fill(file)
    assert (file.read_text(), other.read_text()) == ("new", "before")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "other name"]


def test_a_new_file_only_does_not_take_the_place_of_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(FileExistsError), safe_files.replacing(tmp_path / "file", new_only=True) as new:
        new.write(b"new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "before")]


def test_a_link_of_ones_own_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/../folder/file")
    with safe_files.replacing(tmp_path / "link", follow=True) as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder/file").read_bytes() == b"new"


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        take_named(tmp_path / "a")
    with pytest.raises(OSError, match="symbolic links"):
        make(tmp_path / "a" / "file")


def test_streams_are_streams(tmp_path: Path) -> None:
    ours, theirs = os.pipe()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for named in (Path("/dev/null"), Path(f"/dev/fd/{theirs}"), Path(f"/proc/self/fd/{theirs}"), tmp_path / "pipe"):
        fd, kind = safe_files.open_named(named)
        os.close(fd)
        assert kind == "stream", named
    for fd in (ours, theirs, reader):
        os.close(fd)


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    with pytest.raises(OSError, match="not a regular file"):
        take_there(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        lock(tmp_path / "pipe")
    assert time.monotonic() - began < 20


def test_a_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    safe_files.make_folder(tmp_path / "a/b/../c")
    assert (tmp_path / "a/c").is_dir()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        safe_files.make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        safe_files.make_folder(tmp_path / "file/x")


@AS_ROOT
@pytest.mark.parametrize("write", [*WRITERS, safe_files.make_folder])
@pytest.mark.parametrize("place", ["folder/file", "ours/inside/file", "link/file"])
def test_root_refuses_another_user_s_folder_by_name(tmp_path: Path, write: Callable[[Path], None], place: str) -> None:
    (tmp_path / "folder").mkdir()
    os.chown(tmp_path / "folder", NOBODY, NOBODY)
    (tmp_path / "ours/inside").mkdir(parents=True)
    os.chown(tmp_path / "ours", NOBODY, NOBODY)  # may take away what is below, and put something else there
    (tmp_path / "link").symlink_to(tmp_path)
    os.chown(tmp_path / "link", NOBODY, NOBODY, follow_symlinks=False)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(NotOurs, match="nobody"):
        write(tmp_path / place)
    assert sorted(path for path in tmp_path.rglob("*")) == before


@AS_ROOT
def test_root_does_not_write_through_a_second_name(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    os.link(tmp_path / "victim", tmp_path / "file")
    for write in (lock, take_named, take_there, safe_files.touch):
        with pytest.raises(OSError, match="another hard link"):
            write(tmp_path / "file")
    with pytest.raises(FileExistsError):
        make(tmp_path / "file")


@AS_ROOT
def test_root_does_not_take_another_user_s_file_in_a_shared_folder(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "file").write_text("theirs")
    os.chown(shared / "file", NOBODY, NOBODY)
    for write in (lock, take_named, take_there, safe_files.touch):
        with pytest.raises(NotOurs, match="nobody"):
            write(shared / "file")
    make(shared / "ours")


@AS_ROOT
def test_under_sudo_it_works_in_the_user_s_folder_and_belongs_to_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, 1234, 1235)
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    safe_files.make_folder(home / "a/b")
    for number, write in enumerate(WRITERS):
        write(home / f"a/b/{number}")
        write(tmp_path / f"of root {number}")
    for path in [home / "a", *(home / "a").rglob("*")]:
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235), path
    assert all(path.stat().st_uid == 0 for path in tmp_path.glob("of root*"))
    monkeypatch.setenv("SUDO_UID", "1236")
    with pytest.raises(NotOurs, match="uid 1234"):
        make(home / "third")


_SWAPPER = """
import os, sys
os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)
print("ready", flush=True)
n = 0
while True:
    n += 1
    for step in (
        lambda: os.rename("out", f"away{n}"),
        lambda: os.symlink("../secret", "out"),
        lambda: os.unlink("out"),
        lambda: os.mkdir("out", 0o777),
        lambda: os.symlink("../../secret/victim", "out/file"),
        lambda: os.mkfifo("out/lock"),
        lambda: os.link("theirs", "out/file"),
    ):
        try: step()
        except OSError: pass
"""


@pytest.mark.slow
@AS_ROOT
def test_a_user_who_swaps_files_all_the_time_makes_root_write_nowhere_else(tmp_path: Path) -> None:
    """The folder is open to all, so names come and go between any two steps of root's."""
    shared, secret = tmp_path / "shared", tmp_path / "secret"
    shared.mkdir()
    secret.mkdir()
    shared.chmod(0o777)
    (secret / "victim").write_text("kept")
    attacker = subprocess.Popen([sys.executable, "-c", _SWAPPER, str(shared)], stdout=subprocess.PIPE)
    refused = done = 0
    try:
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == b"ready\n"
        while refused + done < 21_000:
            for write, name in (
                (safe_files.make_folder, "out/deep"), (make, "out/file"), (lock, "out/lock"), (fill, "out/file"),
                (take_named, "out/named"), (safe_files.unlink, "out/victim"),
            ):  # fmt: skip
                try:
                    write(shared / name)
                    done += 1
                except (OSError, NotOurs):
                    refused += 1
    finally:
        attacker.kill()
        attacker.communicate()
    assert [(path.name, path.read_text()) for path in secret.iterdir()] == [("victim", "kept")]
    assert refused > 100
    assert done > 50


@AS_ROOT
@pytest.mark.parametrize("write", WRITERS)
def test_without_a_umask_root_makes_nothing_that_others_may_write(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    before = os.umask(0)
    try:
        safe_files.make_folder(tmp_path / "made")
        write(tmp_path / "made" / "file")
    finally:
        os.umask(before)
    assert not (tmp_path / "made").stat().st_mode & 0o022
    assert not (tmp_path / "made" / "file").stat().st_mode & 0o022


@pytest.fixture
def in_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "container_name", lambda: "docker")


NAMELESS = 54_400_000 + os.getpid()  # of this run alone: a process of its would count as one in the container


@AS_ROOT
@pytest.mark.usefixtures("in_a_container")
def test_in_a_container_root_works_in_a_folder_that_is_mounted_from_outside(tmp_path: Path) -> None:
    """`docker run -v $PWD:/work`: the folder's owner has no name and no process in the container."""
    folder = tmp_path / "work"
    folder.mkdir()
    os.chown(folder, NAMELESS, NAMELESS)
    for number, write in enumerate(WRITERS):
        write(folder / str(number))
        write(folder / f"inner{number}") if write in (fill, lock) else None
    safe_files.make_folder(folder / "deep/er")
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (folder / "link").symlink_to(tmp_path)
    (folder / "file").symlink_to(victim)
    for name in ("link", "file"):
        os.chown(folder / name, NAMELESS, NAMELESS, follow_symlinks=False)
    with pytest.raises(NotOurs, match=str(NAMELESS)):
        fill(folder / "link/victim")
    with pytest.raises(NotOurs, match=str(NAMELESS)):
        take_named(folder / "file")
    assert victim.read_text() == "kept"


@AS_ROOT
@pytest.mark.usefixtures("in_a_container")
@pytest.mark.parametrize("why", ["a name", "a process"])
def test_in_a_container_an_owner_that_is_known_in_it_is_another_user(tmp_path: Path, why: str) -> None:
    owner = NOBODY if why == "a name" else NAMELESS
    folder = tmp_path / "work"
    folder.mkdir()
    os.chown(folder, owner, owner)
    process = subprocess.Popen(["sleep", "60"], user=owner) if why == "a process" else None
    try:
        with pytest.raises(NotOurs) as error:
            fill(folder / "file")
    finally:
        if process is not None:
            process.kill()
            process.wait()
    assert f"--user {owner} " in str(error.value.do)


@AS_ROOT
@pytest.mark.usefixtures("in_a_container")
def test_a_process_of_the_owner_s_that_starts_between_two_writes_ends_that(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    os.chown(folder, NAMELESS, NAMELESS)
    fill(folder / "file")
    process = subprocess.Popen(["sleep", "60"], user=NAMELESS)
    try:
        with pytest.raises(NotOurs, match=str(NAMELESS)):
            fill(folder / "later")
    finally:
        process.kill()
        process.wait()
    assert [path.name for path in folder.iterdir()] == ["file"]
