"""Real swap on real file systems: made, used, removed; refused."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import oomguard
from tests.live.disks import disk, shell
from tests.live.swap_areas import MIB, USER, areas, environment, listing, python, swap
from tests.running import run_oomguard, wait_until

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("machine_is_as_before")]


@pytest.mark.parametrize(
    ("kind", "options", "where"),
    [
        ("ext4", "rw", "swapfile"),
        ("ext4", "rw", "a folder/with spaces"),
        ("ext3", "rw", "swapfile"),
        ("xfs", "rw", "swapfile"),
        ("btrfs", "rw", "."),
        ("btrfs", "compress-force=zstd", "snapshotted/swapfile"),
    ],
)
def test_swap_is_made_used_and_removed(tmp_path: Path, kind: str, options: str, where: str) -> None:
    with disk(tmp_path / kind, kind, options=options) as mounted:
        if kind == "btrfs":
            shell("btrfs", "subvolume", "create", mounted / "snapshotted")
            (mounted / "snapshotted/data").write_text("x" * 100_000)
            shell("btrfs", "subvolume", "snapshot", mounted / "snapshotted", mounted / "before")
        (mounted / where).parent.mkdir(exist_ok=True)
        files, free = listing(mounted), os.statvfs(mounted).f_bavail

        made = swap(tmp_path, "--size", "80M", "--path", str(mounted / where), "--yes", "--priority", "7")
        path = Path(str(made["path"]))
        status = path.lstat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_size) == (0o600, 0, 80 * MIB)
        assert str(path).replace(" ", "\\040") in areas()
        assert made["priority"] == 7

        with python(USER, tmp_path) as user:
            wait_until(lambda: (tmp_path / "ready").exists() or user.poll() is not None)
            assert user.poll() is None, user.communicate()
            assert areas()[str(path).replace(" ", "\\040")] > 20 * MIB
            seen = swap(tmp_path, "status")
            holders = {holder["pid"]: holder["swap"] for holder in seen["holders"]}  # type: ignore[attr-defined]
            assert holders[int((tmp_path / "ready").read_text())] > 20 * MIB
            (tmp_path / "go").touch()
            assert user.wait(60) == 0, user.communicate()
        (tmp_path / "ready").unlink()
        if kind == "btrfs" and where == ".":  # its own subvolume: snapshots go on
            shell("btrfs", "subvolume", "snapshot", mounted, mounted / "while-on")
            shell("btrfs", "subvolume", "delete", mounted / "while-on")

        removed = swap(tmp_path, "remove", str(path), "--yes")
        assert removed["done"]
        assert listing(mounted) == files
        shell("sync", "-f", mounted)
        assert abs(os.statvfs(mounted).f_bavail - free) * os.statvfs(mounted).f_frsize < 8 * MIB


def test_refused_where_it_cannot_be(tmp_path: Path) -> None:
    """Each with its reason; and nothing has changed."""
    with disk(tmp_path / "a", "ext4", size="100M") as mounted, disk(tmp_path / "b", "ext4", size="64M") as frozen:
        in_memory, layered = tmp_path / "tmpfs", tmp_path / "overlay"
        for folder in (in_memory, layered, *(mounted / name for name in ("l", "u", "w", "real", "theirs", "open"))):
            folder.mkdir()
        os.chown(mounted / "theirs", 1000, 1000)
        (mounted / "open").chmod(0o777)
        (mounted / "file").write_text("precious")
        with (mounted / "sparse").open("wb") as sparse:
            sparse.truncate(32 * MIB)
        (mounted / "link").symlink_to(mounted / "nothing")
        (mounted / "linked").symlink_to(mounted / "real")
        shell("mount", "-t", "tmpfs", "none", in_memory)
        shell(
            "mount",
            "-t",
            "overlay",
            "none",
            "-o",
            f"lowerdir={mounted}/l,upperdir={mounted}/u,workdir={mounted}/w",
            layered,
        )
        shell("mount", "-o", "remount,ro", frozen)
        before = (listing(tmp_path), areas())
        try:
            for path, size, words in (
                (in_memory / "s", "8M", ["tmpfs", "in memory already"]),
                (layered / "s", "8M", ["overlay", "no swap file"]),
                (frozen / "s", "8M", ["read-only", "remount,rw"]),
                (mounted / "s", "90M", ["90.0 MiB", "10%", "free"]),
                (mounted / "file", "8M", ["exists already", "a file"]),
                (mounted / "sparse", "8M", ["exists already"]),
                (mounted / "link", "8M", ["symbolic link", "link"]),
                (mounted / "linked/s", "8M", ["symbolic link", "linked"]),
                (mounted / "theirs/s", "8M", ["theirs", "uid 1000"]),
                (mounted / "open/s", "8M", ["others may write", "777"]),
                (mounted / "missing/s", "8M", ["does not exist", "mkdir"]),
                (mounted / "file/s", "8M", ["does not exist"]),
                (mounted / "s", "1K", ["not a possible size", "1.0 MiB"]),
            ):
                run = run_oomguard("swap", "--size", size, "--path", str(path), "--yes", cwd=tmp_path)
                assert run.returncode == 1, path
                assert [word for word in words if word not in run.stderr] == [], run.stderr
                assert (listing(tmp_path), areas()) == before
            assert (mounted / "file").read_text() == "precious"
        finally:
            for folder in (layered, in_memory):
                shell("umount", folder)


def test_64_gib_on_an_80_gb_disk_take_seconds(tmp_path: Path) -> None:
    if os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize < 4 << 30:
        pytest.skip("needs 4 GiB of free disk for the file system's own tables")
    with disk(tmp_path / "large", "ext4", size="80G") as mounted:
        began = time.monotonic()
        made = swap(tmp_path, "--size", "64G", "--path", str(mounted / "swap"), "--yes")
        seconds = time.monotonic() - began
        assert made["size"] == 64 << 30
        swap(tmp_path, "remove", "--yes", str(mounted / "swap"))
        print(f"64 GiB: {seconds:.1f} s")
        assert seconds < 10


@pytest.mark.parametrize(("kind", "name"), [("ext4", "my swap"), ("ext3", "s"), ("xfs", "s"), ("btrfs", "new/s")])
def test_the_commands_of_a_plan_do_the_same(tmp_path: Path, kind: str, name: str) -> None:
    """What somebody without root pastes with sudo."""
    with disk(tmp_path / "disk", kind) as mounted:
        path = mounted / name
        plan = swap(tmp_path, "--size", "32M", "--path", str(path), "--dry-run", "--priority", "3")
        assert not path.exists()
        for line in plan["commands"]:  # type: ignore[attr-defined]
            shell("sh", "-c", line)
        assert str(path).replace(" ", "\\040") in areas()
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_size) == (0o600, 32 * MIB)
        removal = swap(tmp_path, "remove", str(path), "--dry-run")
        assert not removal["areas"][0]["by_oomguard"]
        for line in removal["commands"]:  # type: ignore[attr-defined]
            shell("sh", "-c", line)
        assert not path.exists()


def test_an_area_of_others_goes_only_when_it_is_named(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        path = mounted / "theirs"
        path.touch(0o600)
        shell("fallocate", "-l", "16M", path)
        shell("mkswap", path)
        shell("swapon", path)
        (mounted / "data").write_text("precious")
        assert "no oomguard swap to remove" in str(swap(tmp_path, "remove", "--yes", code=1)["said"])
        assert "is not a swap area" in str(swap(tmp_path, "remove", str(mounted / "data"), "--yes", code=1)["said"])
        assert (mounted / "data").exists()
        assert str(path) in areas()
        swap(tmp_path, "remove", str(path), "--yes")
        assert not path.exists()


def test_a_file_put_in_the_place_of_ours_stays(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        path = mounted / "swap"
        swap(tmp_path, "--size", "16M", "--path", str(path), "--yes")
        shell("swapoff", path)
        path.unlink()
        path.write_text("precious")
        assert swap(tmp_path, "status")["areas"][0]["state"] == "off"
        swap(tmp_path, "remove", "--yes")
        assert path.read_text() == "precious"
        path.unlink()


def test_asked_on_a_terminal_no_means_nothing(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        files = listing(mounted)
        for answer, code in (("n", 1), ("y", 0)):
            main, terminal = os.openpty()
            line = [sys.executable, "-m", "oomguard", "swap", "--size", "16M", "--path", str(mounted / "swap")]
            with subprocess.Popen(line, stdin=terminal, stdout=terminal, stderr=terminal, env=environment()) as run:
                os.close(terminal)
                said = b""
                while b"make it?" not in said:
                    said += os.read(main, 4096)
                os.write(main, f"{answer}\n".encode())
                with contextlib.suppress(OSError):
                    while chunk := os.read(main, 4096):
                        said += chunk
                assert run.wait(30) == code, said
            os.close(main)
            if answer == "n":
                assert listing(mounted) == files
        assert list(areas()) == [str(mounted / "swap")]
        swap(tmp_path, "remove", "--yes")


def test_as_a_library(tmp_path: Path) -> None:
    """Also when the block ends by an exception."""
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        files = listing(mounted)
        plan = oomguard.plan_swap(oomguard.SwapOptions(size=16 * MIB, path=mounted))
        with pytest.raises(ZeroDivisionError), oomguard.temporary_swap(plan) as added:
            assert str(added.path) in areas()
            raise ZeroDivisionError
        assert listing(mounted) == files


def test_a_job_that_fits_gets_no_swap(tmp_path: Path) -> None:
    report = {"schema": "oomguard.run_outcome/1", "peak_unreclaimable": MIB, "stopped_by": None, "inputs": []}
    (tmp_path / "run.json").write_text(json.dumps(report))
    made = swap(tmp_path, "--from", "run.json", "--yes")
    assert (made["path"], made["size"]) == (None, 0)
    run = run_oomguard("swap", "--from", "run.json", "--for", "--", "sh", "-c", "exit 5", cwd=tmp_path)
    assert run.returncode == 5
    assert "not needed" in run.stderr
