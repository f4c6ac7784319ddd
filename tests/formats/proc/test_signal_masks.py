"""Whether a signal that waits would end a process: real ones, each with another answer to SIGTERM."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oomguard.formats.proc import only_ends_by

TERM = signal.SIGTERM


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ("", True),
        ("signal.signal(signal.SIGTERM, lambda *_: None)", False),
        ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", False),
        ("signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])", False),
    ],
)
def test_a_stopped_process_that_was_sent_it(answer: str, ends: bool) -> None:
    program = f"import os, signal, sys\n{answer}\nprint(1, flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        status = Path(f"/proc/{process.pid}/status")
        while "T (stopped)" not in status.read_text():
            pass
        assert not only_ends_by(status.read_text(), TERM)
        process.send_signal(TERM)
        assert only_ends_by(status.read_text(), TERM) is ends
        assert not only_ends_by(status.read_text(), signal.SIGUSR1)
        process.kill()


@pytest.mark.parametrize("text", ["", "ShdPnd:\t0000000000004000\n", "ShdPnd:\tnothing\n", f"ShdPnd:\t{'f' * 5000}\n"])
def test_what_is_missing_is_no_reason_to_kill(text: str) -> None:
    assert not only_ends_by(text, TERM)
