"""Under sudo, in the folder of the user who called it, every command works, and its files belong to that user."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
USER, GROUP = 1234, 1235
COMMANDS = {
    "prepare": ["prepare", "text.txt", "--out", "new/out", "--quiet"],
    "run": ["run", "--max-rss", "60M", "--report", "r.json", "--", "/bin/true"],
    "profile": ["profile", "--", "/bin/true"],
    "check": ["check", "script.py", "--pin", "pins.json"],
}


def oomguard(home: Path, name: str, **sudo: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "oomguard", *COMMANDS[name]], cwd=home, env={**os.environ, **sudo}, text=True,
        capture_output=True, check=False, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "text.txt").write_text("a budget for the kernel, " * 1000)
    (home / "script.py").write_text("held = []\nfor line in open('text.txt'):\n    held.append(line)\n")
    for path in (home, *home.iterdir()):
        os.chown(path, USER, GROUP)
    return home


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_made_belongs_to_the_user(home: Path, name: str) -> None:
    before = set(home.rglob("*"))
    done = oomguard(home, name, SUDO_UID=str(USER), SUDO_GID=str(GROUP))
    made = set(home.rglob("*")) - before
    assert done.returncode in (0, 1, 3), done.stderr  # 1 and 3: what check finds
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(USER, GROUP)}, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_in_a_third_user_s_folder_it_is_refused_by_name(home: Path, name: str) -> None:
    before = set(home.rglob("*"))
    done = oomguard(home, name, SUDO_UID="1236", SUDO_GID="1236")
    assert set(home.rglob("*")) == before
    assert f"belongs to uid {USER}" in " ".join(done.stderr.split())
    assert done.returncode == (125 if name in ("run", "profile") else 1 if name == "prepare" else 2)
