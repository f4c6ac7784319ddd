"""Real swap on real file systems: made, used, removed; refused; undone after a fault at each step."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import oomguard
from tests.live.disks import disk, shell
from tests.running import run_oomguard, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

MIB = 1 << 20
RECORDS = Path("/var/lib/oomguard/swap")
# In a cgroup of 32 MiB: 64 MiB that cannot be compressed away, told to `ready`, read back when `go` is there.
USER = """
import os, sys, time
from pathlib import Path
from oomguard.linux.budget_memcg import enter_budget_memcg
folder = Path(sys.argv[1])
with enter_budget_memcg(32 << 20, allow_swap=True):
    blocks = [os.urandom(1 << 20) for _ in range(64)]
    sums = [hash(block) for block in blocks]
    (folder / "ready").write_text(str(os.getpid()))
    while not (folder / "go").exists():
        time.sleep(0.01)
    assert sums == [hash(block) for block in map(bytes, map(bytearray, blocks))]
"""


def listing(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*"))


@pytest.fixture(autouse=True)
def machine_is_as_before() -> Iterator[None]:
    """Whatever a test does: the areas that are on, fstab and the records are the same afterwards."""
    if os.geteuid() != 0:
        pytest.skip("switching swap on needs root")
    seen = [Path("/proc/swaps").read_text(), Path("/etc/fstab").read_text() if Path("/etc/fstab").exists() else ""]
    records = listing(RECORDS) if RECORDS.exists() else []
    yield
    assert [Path("/proc/swaps").read_text(), *seen[1:]] == seen
    assert (listing(RECORDS) if RECORDS.exists() else []) == records


def areas() -> dict[str, int]:
    """The areas that are on, and how much of each is used."""
    lines = [line.split() for line in Path("/proc/swaps").read_text().splitlines()[1:]]
    return {fields[0]: int(fields[3]) << 10 for fields in lines}


def swap(cwd: Path, *arguments: str, code: int = 0) -> dict[str, object]:
    run = run_oomguard("swap", *arguments, "--json", cwd=cwd)
    assert run.returncode == code, run.stderr
    return json.loads(run.stdout) if run.stdout else {"said": run.stderr}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(oomguard.__file__).parents[1])}


def python(program: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )  # type: ignore[call-overload, no-any-return]


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
                (mounted / "s", "90M", ["90.0 MiB", "10 %", "free"]),
                (mounted / "file", "8M", ["exists already", "a file"]),
                (mounted / "sparse", "8M", ["exists already"]),
                (mounted / "link", "8M", ["symbolic link", "link"]),
                (mounted / "linked/s", "8M", ["symbolic link", "linked"]),
                (mounted / "theirs/s", "8M", ["theirs", "uid 1000"]),
                (mounted / "open/s", "8M", ["others may write", "777"]),
                (mounted / "missing/s", "8M", ["does not exist", "mkdir"]),
                (mounted / "file/s", "8M", ["does not exist"]),
                (mounted / "s", "1K", ["no size", "1.0 MiB"]),
            ):
                run = run_oomguard("swap", "--size", size, "--path", str(path), "--yes", cwd=tmp_path)
                assert run.returncode == 1, path
                assert [word for word in words if word not in run.stderr] == [], run.stderr
                assert (listing(tmp_path), areas()) == before
            assert (mounted / "file").read_text() == "precious"
        finally:
            for folder in (layered, in_memory):
                shell("umount", folder)


FAULTS = """
import os, sys, time
from pathlib import Path
from oomguard.linux import swap_file, swap_switch
from oomguard.linux.swap_area import SwapEvents, make_area
from oomguard.linux.swap_records import locked_records
from oomguard.errors import OomguardError
from oomguard.linux.stop_signals import stop_on_signals
from oomguard.linux.swap_place import read_place
from oomguard.linux.swap_machine import read_swap_machine
from oomguard.planning.swap_plan import plan_swap_file
path, root, fault, at = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
plan = plan_swap_file(read_place(Path(path), measure=False), read_swap_machine(), 32 << 20, persist=True)
seen = []
def step(step):
    seen.append(step.kind)
    if len(seen) == at:
        print(step.kind, flush=True)
        if fault in ("stop", "kill"):
            sys.stdin.readline()
if fault == "missing":
    swap_switch.system_tool = lambda name: None
if fault == "full":
    space = os.statvfs(Path(path).parent)
    with open(Path(path).parent / "hog", "wb") as hog:
        os.posix_fallocate(hog.fileno(), 0, space.f_bavail * space.f_frsize - (16 << 20))
if fault == "holes":
    swap_file.allocate = lambda fd, size: os.truncate(fd, size) or True
if fault == "copied":
    swap_file.set_no_copy_on_write = lambda fd, path: None
notes = []
try:
    with stop_on_signals() as asked, locked_records(root) as records:
        make_area(plan, records, until="removed", root=root,
            events=SwapEvents(on_step=step, on_note=notes.append, stop_asked=asked))
    print("made", notes)
except OomguardError as error:
    print(type(error).__name__, error)
"""
CLEAN = """
import sys
from pathlib import Path
from oomguard.linux.swap_area import SwapEvents, remove_left_over
from oomguard.linux.swap_records import locked_records
with locked_records(Path(sys.argv[1])) as records:
    print(remove_left_over(records, root=Path(sys.argv[1]), events=SwapEvents()))
"""


@pytest.fixture
def fake_root(tmp_path: Path) -> Path:
    """The machine, with an fstab and records of the test's own."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/fstab").write_text("# ours\nUUID=1 / ext4 defaults 0 1\n")
    for name in ("proc", "sys", "dev"):
        (root / name).symlink_to(f"/{name}")
    return root


def state_of(mounted: Path, root: Path) -> tuple[list[str], str, list[str], dict[str, int]]:
    records = [path for path in listing(root / "var/lib") if path.endswith(".json")]
    return listing(mounted), (root / "etc/fstab").read_text(), records, areas()


@pytest.mark.parametrize("kind", ["ext4", "btrfs"])
def test_stopped_or_killed_at_any_step_nothing_stays(tmp_path: Path, fake_root: Path, kind: str) -> None:
    """SIGINT: undone at once. SIGKILL: found and cleaned by the next call."""
    with disk(tmp_path / "disk", kind) as mounted:
        before = state_of(mounted, fake_root)
        path = mounted / "new/swap" if kind == "btrfs" else mounted / "swap"
        steps = []
        for at in range(1, 20):
            for fault, number in (("stop", signal.SIGINT), ("kill", signal.SIGKILL)):
                with python(FAULTS, path, fake_root, fault, at, stdin=subprocess.PIPE) as run:
                    assert run.stdout is not None
                    said = run.stdout.readline()
                    if not said.startswith("made"):
                        steps.append(said.strip())
                        run.send_signal(number)
                        time.sleep(0.02)
                    said += run.communicate("\n")[0]
                if "made" in said:
                    assert python(CLEAN, fake_root).communicate()[0] == "[]\n"  # what is in use stays
                    assert str(path) in areas()
                    assert f"{path} none swap nofail 0 0\n" in (fake_root / "etc/fstab").read_text()
                    undo = CLEAN.replace(
                        "remove_left_over(records, ",
                        "[__import__('oomguard.linux.swap_area').linux.swap_area.remove_area(r, records, ",
                    ).replace("events=SwapEvents())", "events=SwapEvents()) for r in records.all()]")
                    assert python(undo, fake_root).communicate()[0] == "[None]\n"
                    assert state_of(mounted, fake_root) == before
                    continue
                if fault == "stop":
                    assert "Stopped SIGINT" in said
                else:
                    assert state_of(mounted, fake_root)[2] != before[2]
                    assert python(CLEAN, fake_root).communicate()[0] == f"['{path}']\n"
                assert state_of(mounted, fake_root) == before, (fault, steps[-1])
            if "made" in said:
                break
        wanted = ["create", "mode", "allocate", "format", "enable", "verify", "backup", "fstab"]
        assert [step for step in dict.fromkeys(steps) if step in wanted] == wanted
        assert kind != "btrfs" or {"subvolume", "no_copy_on_write"} <= set(steps)


@pytest.mark.parametrize(
    ("kind", "fault", "words"),
    [
        ("ext4", "full", "No space left on device"),
        ("xfs", "missing", "mkswap cannot be found"),
        ("btrfs", "copied", "copy on write"),
    ],
)
def test_a_step_that_fails_is_explained_and_undone(
    tmp_path: Path, fake_root: Path, kind: str, fault: str, words: str
) -> None:
    with disk(tmp_path / "disk", kind) as mounted:
        before = state_of(mounted, fake_root)
        said, wrong = python(FAULTS, mounted / "swap", fake_root, fault, 99).communicate()
        assert "SwapFailed" in said, wrong
        assert words in said
        (mounted / "hog").unlink(missing_ok=True)
        assert state_of(mounted, fake_root) == before


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_where_the_kernel_sees_holes_zeros_are_written(tmp_path: Path, fake_root: Path, kind: str) -> None:
    """As Linux 5.7 did with every file that was only allocated."""
    with disk(tmp_path / "disk", kind) as mounted:
        said, wrong = python(FAULTS, mounted / "swap", fake_root, "holes", 99).communicate()
        assert "made ['the kernel refuses it as allocated" in said, said + wrong
        assert str(mounted / "swap") in areas()
        shell("swapoff", mounted / "swap")


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


@pytest.mark.parametrize(("command", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("exit 0", 0)])
def test_swap_for_a_command_goes_when_it_ends(tmp_path: Path, command: str, code: int) -> None:
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        files = listing(mounted)
        path = mounted / "swap"
        script = f"grep -q {path} /proc/swaps && cat > {tmp_path}/heard; {command}"
        run = run_oomguard(
            "swap",
            "--size",
            "16M",
            "--path",
            str(path),
            "--yes",
            "--for",
            "--",
            "sh",
            "-c",
            script,
            cwd=tmp_path,
            stdin="hi",
        )
        assert run.returncode == code, run.stderr
        assert (tmp_path / "heard").read_text() == "hi"
        assert run.stdout == ""
        assert listing(mounted) == files


def test_swap_for_a_command_when_either_is_killed(tmp_path: Path) -> None:
    """SIGTERM reaches the command. After SIGKILL of oomguard the command keeps its swap; then the next call cleans."""
    with disk(tmp_path / "disk", "ext4", size="100M") as mounted:
        files = listing(mounted)
        line = ["swap", "--size", "16M", "--path", str(mounted / "swap"), "--yes", "--for", "--"]
        start = [sys.executable, "-m", "oomguard", *line, "sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 60"]
        for number in (signal.SIGTERM, signal.SIGKILL):
            (tmp_path / "pid").unlink(missing_ok=True)
            run = subprocess.Popen(start, env=environment(), stderr=subprocess.DEVNULL)
            wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n"))
            pid = int((tmp_path / "pid").read_text())
            run.send_signal(number)
            code = run.wait(30)
            if number == signal.SIGTERM:
                assert code == 128 + signal.SIGTERM
                assert listing(mounted) == files
        state = swap(tmp_path, "status")["areas"][0]  # type: ignore[index]
        assert state["state"] == "command"
        assert "uses" in str(swap(tmp_path, "remove", str(mounted / "swap"), "--yes", code=1)["said"])
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: swap(tmp_path, "status")["areas"][0]["state"] == "left over")  # type: ignore[index]
        made = swap(tmp_path, "--size", "16M", "--path", str(mounted / "other"), "--yes")
        assert list(areas()) == [made["path"]]
        swap(tmp_path, "remove", "--yes")
        assert listing(mounted) == files


def test_what_cannot_start_makes_no_swap(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    for command, code in (("no-such-command", 127), (str(tmp_path / "text"), 126)):
        run = run_oomguard(
            "swap", "--size", "16M", "--path", str(tmp_path), "--yes", "--for", "--", command, cwd=tmp_path
        )
        assert run.returncode == code, run.stderr
        assert "error: cannot run" in run.stderr
    run = run_oomguard("swap", "--size", "16M", "--path", "/dev/shm/x", "--yes", "--for", "--", "true", cwd=tmp_path)
    assert run.returncode == 125
    assert "tmpfs" in run.stderr


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
        assert not removal["areas"][0]["by_oomguard"]  # type: ignore[index]
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
        assert "no swap that could go" in str(swap(tmp_path, "remove", "--yes", code=1)["said"])
        assert "no swap area" in str(swap(tmp_path, "remove", str(mounted / "data"), "--yes", code=1)["said"])
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
        assert swap(tmp_path, "status")["areas"][0]["state"] == "off"  # type: ignore[index]
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


def test_ctrl_c_while_zeros_are_written(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "ext3", size="1G") as mounted:
        files = listing(mounted)
        line = ["swap", "--size", "800M", "--path", str(mounted / "swap"), "--yes"]
        with subprocess.Popen(
            [sys.executable, "-m", "oomguard", *line], stderr=subprocess.PIPE, text=True, env=environment()
        ) as run:
            wait_until(lambda: (mounted / "swap").exists() and (mounted / "swap").stat().st_size > 8 * MIB)
            run.send_signal(signal.SIGINT)
            said = run.communicate()[1]
        assert run.returncode == 130
        assert "stopped: SIGINT; nothing of" in said
        assert listing(mounted) == files


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
    assert "none is needed" in run.stderr
