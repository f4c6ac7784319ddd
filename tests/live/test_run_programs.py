"""The user's line is the first that `run` shows, whatever is between it and the memory."""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from tests.live.guarded import run
from tests.live.user_programs import PROGRAMS

if TYPE_CHECKING:
    from pathlib import Path

_TRIES = 8
pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.slow, pytest.mark.usefixtures("nothing_is_left")]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_user_s_line_is_the_first_that_is_shown(tmp_path: Path, name: str) -> None:
    program = PROGRAMS[name]
    for module in program.needs:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"a program of {module}: no such package here")
    (tmp_path / "app.py").write_text(program.text)
    for file, text in program.files:
        (tmp_path / file).write_text(text)
    said = ""
    for _ in range(_TRIES):  # on a busy machine one run may be met only where it waits
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        arguments = [port if one == "PORT" else one for one in program.arguments]
        done, facts = run(
            tmp_path, *program.options, "--grace", "1", "--", sys.executable, "app.py", *arguments,
            budget=program.budget,
        )  # fmt: skip
        assert (done.returncode, facts["stopped_by"]) == (137, "budget"), done.stderr
        said = done.stderr
        first = re.search(r"([\w./<>-]+):(\d+)in", "".join(said.split()))
        if first is not None and first[1].endswith("app.py") and int(first[2]) in program.lines:
            return
    raise AssertionError(said)
