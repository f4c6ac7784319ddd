"""A `with oomguard.budget()` block: its process has its children watched by another, and hears what became of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from oomguard.errors import WorkerFailed, explain
from oomguard.kernel.proc.files import ProcessTree, ProcFiles
from oomguard.kernel.process.commands import own_command
from oomguard.kernel.process.signals import signal_if
from oomguard.supervision.model import RunOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator


class ChildrenWatcher:
    """The calling process's side."""

    def __init__(self, process: subprocess.Popen[bytes], before: frozenset[int]) -> None:
        """`process` has said that it is ready; the children `before` are not its to watch."""
        self._process = process
        self._owner = os.getpid()
        self._before = before
        self._answer = b""
        # A thread, because the caller may wait for a child that stands still, with nobody left to continue it.
        self._reader = threading.Thread(target=self._read, name="oomguard-budget", daemon=True)
        self._reader.start()

    def finish(self) -> RunOutcome:
        """Let it end, and give what it saw. Raises: WorkerFailed if it is gone."""
        self.close()
        if not self._answer:
            raise WorkerFailed("the process that watches the children ended: nobody held them", do="see the kernel log")
        return RunOutcome.from_json(json.loads(self._answer))

    @property
    def is_ours(self) -> bool:
        """Whether this process began the block, and was not forked in it: that one leaves it, too, and ends nothing."""
        return os.getpid() == self._owner

    def close(self) -> None:
        """Let it end. Raises: nothing."""
        assert self._process.stdin is not None
        if not self.is_ours:
            return
        with suppress(OSError, ValueError):
            # Said, not only closed: what was forked in the block has this end of the pipe, too.
            self._process.stdin.write(b"end\n")
        with suppress(OSError):
            self._process.stdin.close()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._answer = self._process.stdout.read()
        if not self._answer:
            continue_children(self._before | {self._process.pid})


def continue_children(without: frozenset[int]) -> None:
    """SIGCONT to each descendant that is stopped: whoever stopped it cannot do that any more. Raises: nothing."""
    proc = ProcFiles()
    for pid in ProcessTree(os.getpid(), with_root=False, without=without).pids():
        stat = proc.stat(pid)
        if stat is not None and stat.state == "T":
            signal_if(pid, signal.SIGCONT, lambda now, same=stat.start_ticks: now.start_ticks == same)  # type: ignore[misc]  # mypy: a lambda's default


@contextmanager
def watch_children(max_rss: int, grace_seconds: float) -> Iterator[ChildrenWatcher]:
    """Have what the calling process starts in the block watched. Whatever ends the block, nothing stays stopped."""
    before = frozenset(ProcessTree(os.getpid(), with_root=False).pids())
    command = own_command("oomguard.supervision.children_watcher", str(os.getpid()), str(max_rss), str(grace_seconds))
    # Unbuffered: the lock of a buffer, which the reader holds, would be held for ever in a process forked meanwhile.
    pipe = subprocess.PIPE
    try:
        if (refusal := ProcFiles().refusal()) is not None:
            raise refusal  # without /proc nothing would be seen of them
        started = subprocess.Popen(command, stdin=pipe, stdout=pipe, process_group=0, bufsize=0)
    except OSError as error:
        why = explain(error)
        assert why is not None  # of an OSError there is always something to say
        raise WorkerFailed(f"the process that watches the children did not start: {why}", do=why.do) from error
    with started as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            process.kill()
            raise WorkerFailed("the process that watches the children did not start", do="see its traceback above")
        watcher = ChildrenWatcher(process, before)
        try:
            yield watcher
        finally:
            watcher.close()
