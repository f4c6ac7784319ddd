"""`plan` counts the tokens that `prepare` writes, ends of texts and of their parts included, where it reads all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

TEXT = "It was the best of times, it was the worst of times. "


@pytest.mark.parametrize("copies", [1, 200, 2000])
@pytest.mark.parametrize("more", [(), ("--format", "olmo")])
def test_the_same_number(
    oomguard: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
    copies: int,
    more: tuple[str, ...],
) -> None:
    names = ["1.txt", "2.txt"]
    for name in names:
        (tmp_path / name).write_text(TEXT * copies)
    planned = oomguard("plan", *names, "--no-calibration", "--json", *more, cwd=tmp_path)
    done = oomguard("prepare", *names, "--json", *more, cwd=tmp_path)
    assert json.loads(planned.stdout)["tokens"]["value"] == json.loads(done.stdout)["tokens"]
