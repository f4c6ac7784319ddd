"""Texts about kills are not logs: a part of the standard library and of the documentation here. `make prose` reads all."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from benchmarks.log_prose import QUOTED, kills, texts

STDLIB = Path(sysconfig.get_paths()["stdlib"])
FOLDERS = [STDLIB / "multiprocessing", STDLIB / "test", STDLIB / "concurrent", STDLIB / "asyncio", Path("/usr/share/doc/coreutils"), Path("/usr/share/doc/bash")]  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_kill_in_code_and_documentation(folder: Path) -> None:
    if not folder.is_dir():
        pytest.skip(f"{folder} is not on this machine")
    wrong = {path.name: found for path, text in texts([folder]) if (found := kills(text)) and path.name not in QUOTED}
    assert wrong == {}


def test_our_own_documentation_names_no_kill() -> None:
    for path in Path(__file__).parents[3].glob("docs/*.md"):
        assert kills(path.read_bytes()) == [], path
