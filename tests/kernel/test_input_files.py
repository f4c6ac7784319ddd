"""What root reads into a result: through no link of another user's to what that user may not read."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.kernel.plain_files import open_input

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOBODY = 65534
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def content(path: Path | str) -> bytes:
    with os.fdopen(open_input(str(path)), "rb") as file:
        return file.read()


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Another user's folder, and beside it what is root's."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/text.txt").write_text("secret")
    (tmp_path / "secret").chmod(0o700)
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "own.txt").write_text("their own")
    os.chown(folder / "own.txt", NOBODY, NOBODY)
    os.chown(folder, NOBODY, NOBODY)
    tmp_path.chmod(0o755)
    return folder


def planted(link: Path, target: str, uid: int = NOBODY) -> Path:
    link.symlink_to(target)
    os.lchown(link, uid, uid)
    return link


@pytest.mark.parametrize(
    "target", ["../secret/text.txt", "{above}/secret/text.txt", "other.txt", "../theirs/folder/text.txt"]
)
def test_a_planted_link_leads_to_its_owner_s_files_only(theirs: Path, target: str) -> None:
    planted(theirs / "other.txt", "../secret/text.txt")
    planted(theirs / "folder", "../secret")
    link = planted(theirs / "link.txt", target.format(above=theirs.parent))
    with pytest.raises(
        PermissionError, match="a link that belongs to nobody leads there, to a file that belongs to root"
    ):
        content(link)
    with pytest.raises(PermissionError):
        content(theirs / "folder/text.txt")


def test_what_is_theirs_is_read_through_their_links_and_all_through_ones_own(
    theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert content(planted(theirs / "link.txt", "./own.txt")) == b"their own"
    assert content(planted(theirs / "folder", "../theirs") / "own.txt") == b"their own"
    assert content(planted(theirs / "of_root", "../secret", uid=0) / "text.txt") == b"secret"
    monkeypatch.chdir(theirs)
    assert content("folder/../theirs/./own.txt") == b"their own"
    (theirs / "of_root_too.txt").write_text("put there by root")
    assert content("of_root_too.txt") == b"put there by root"


def test_links_of_who_called_sudo_lead_where_they_lead(theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = planted(theirs / "link.txt", "../secret/text.txt")
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    assert content(link) == b"secret"


def test_what_is_open_is_opened_by_its_descriptor(theirs: Path) -> None:
    with (theirs / "own.txt").open("rb") as file:
        for name in (f"/proc/self/fd/{file.fileno()}", f"/dev/fd/{file.fileno()}"):
            assert content(name) == b"their own"


def test_pipes_circles_folders_and_what_is_not_there_keep_nobody_waiting(theirs: Path) -> None:
    os.mkfifo(theirs / "pipe")
    planted(theirs / "to_pipe", "pipe")
    os.chown(theirs / "pipe", NOBODY, NOBODY)
    planted(theirs / "circle", "circle")
    planted(theirs / "dangling", "nowhere")
    for name, error in [
        ("pipe", OSError), ("to_pipe", OSError), ("circle", OSError), ("dangling", FileNotFoundError),
        ("none", FileNotFoundError), ("", OSError), ("own.txt/x", NotADirectoryError),
    ]:  # fmt: skip
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(error):
            content(theirs / name)
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("name", ["link.txt", "lines.jsonl", "rows.parquet", "table.arrow", "packed.txt.gz"])
def test_prepare_refuses_it_by_name(theirs: Path, oomguard: Callable[..., Any], name: str) -> None:
    planted(theirs / name, "../secret/text.txt")
    done = oomguard("prepare", str(theirs), "--out", str(theirs.parent / "out"))
    assert done.returncode == 1
    assert (
        f"{name} cannot be opened: a link that belongs to nobody leads there, to a file that belongs to root"
        in done.stderr
    )
    assert not (theirs.parent / "out").exists()
    assert f'try: oomguard prepare "$(readlink -f {theirs / name})"' in done.stderr


@pytest.mark.parametrize("command", ["prepare", "plan"])
def test_nothing_of_it_is_shown(theirs: Path, oomguard: Callable[..., Any], command: str) -> None:
    """Of a table without the column an error names those that there are: its first line."""
    (theirs.parent / "secret/text.txt").write_text("a root's own line\n1\n")
    link = planted(theirs / "table.csv", "../secret/text.txt")
    done = oomguard(command, str(link), "--out", str(theirs.parent / "out"))
    assert done.returncode == 1
    assert "a link that belongs to nobody leads there" in done.stderr
    assert "root's own line" not in done.stderr + done.stdout


def test_files_that_are_swapped_for_links_all_the_time_give_nothing_of_root_s(theirs: Path) -> None:
    attacker = (
        "import os, sys\n"
        f"os.chdir(sys.argv[1]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    try:\n"
        "        open('new', 'x').write('their own'); os.rename('new', 'text.txt')\n"
        "        os.symlink('../secret/text.txt', 'new'); os.rename('new', 'text.txt')\n"
        "        os.rename('sub', 'away'); os.symlink('../secret', 'sub'); os.unlink('sub'); os.rename('away', 'sub')\n"
        "    except OSError: pass\n"
    )
    (theirs / "sub").mkdir()
    (theirs / "sub/text.txt").write_text("their own")
    os.chown(theirs / "sub", NOBODY, NOBODY)
    with subprocess.Popen([sys.executable, "-c", attacker, str(theirs)], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            read: Counter[bytes] = Counter()
            while not all(read[what] >= 50 for what in (b"their own", b"refused")):  # both are met, and often
                for name in ("text.txt", "sub/text.txt"):
                    try:
                        read[content(theirs / name)] += 1
                    except OSError:
                        read[b"refused"] += 1
        finally:
            process.kill()
    assert set(read) == {b"their own", b"refused"}


def test_shards_of_another_user_s_are_converted_but_not_what_their_links_lead_to(
    theirs: Path, oomguard: Callable[..., Any]
) -> None:
    (theirs / "text.txt").write_text("some words in a text")
    made = oomguard("prepare", str(theirs / "text.txt"), "--out", str(theirs.parent / "shards"))
    assert made.returncode == 0, made.stderr
    (theirs.parent / "shards").rename(theirs / "shards")
    (theirs / "shards/train.bin").unlink()
    planted(theirs / "shards/train.bin", "../../secret/text.txt")
    done = oomguard("convert", str(theirs / "shards"), "--format", "npy", "--out", str(theirs.parent / "out"))
    assert done.returncode == 1
    assert "a link that belongs to nobody leads there, to a file that belongs to root" in done.stderr
    assert not list((theirs.parent / "out").glob("*.npy"))
