"""The helper processes of a run, as the coordinator sees them."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.kernel.process.self_exec import own_command
from oomguard.preparation.engines.messages import Channel

if TYPE_CHECKING:
    from oomguard.preparation.engines.work import Work

_PATIENCE_SECONDS = 5.0


@dataclass(eq=False)
class Child:
    """A running helper process and what it was given to do."""

    channel: Channel
    process: subprocess.Popen[bytes] | None = None  # None: a nursery forked it, and is its parent
    pid: int = 0  # 0: it has not said so yet
    mark: bytes = b""
    verifies: bool = False
    ready: bool = False
    leaving: bool = False
    rss: int = 0
    outstanding: dict[int, Work] = field(default_factory=dict)  # by slot
    _pidfd: int = -1

    def is_ready(self, pid: int, rss: int) -> None:
        """Note what it said when it started."""
        self.ready, self.pid, self.rss = True, pid, rss
        if self.process is None:
            try:
                self._pidfd = os.pidfd_open(pid)
            except OSError:
                return  # it has ended already

    @property
    def has_ended(self) -> bool:
        """Whether the process, one that was started here, is over."""
        return self.process is not None and self.process.poll() is not None

    def close(self, *, kill: bool = False) -> int | None:
        """End the process and give its exit status, None for one that is not ours to wait for.

        It ends by itself when its channel closes.
        """
        if kill:
            self._kill()
        self.channel.connection.close()
        if self.process is not None:
            try:
                return self.process.wait(timeout=_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                return self.process.wait()
        if self._pidfd >= 0:
            if not _has_ended(self._pidfd, _PATIENCE_SECONDS):
                self._kill()
                _has_ended(self._pidfd, _PATIENCE_SECONDS)
            os.close(self._pidfd)
            self._pidfd = -1
        return None

    def _kill(self) -> None:
        if self.process is not None:
            self.process.kill()
        elif self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return


def _has_ended(pidfd: int, seconds: float) -> bool:
    """Wait for a process: pidfd_open(2) says that its descriptor becomes readable when it ends."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def start_child(module: str, *, share: tuple[int, ...], stdin: bool = False) -> Child:
    """Start `oomguard.preparation.<module>` with the file descriptors `share`; its first message must be its config.

    Not an argument, whose length is limited: thousands of sources are named in it.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            own_command(f"oomguard.preparation.engines.{module}", str(theirs.fileno()), str(os.getpid())),
            stdin=None if stdin else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *share),
            process_group=0,  # Ctrl-C is the coordinator's to handle
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"},
        )
    return Child(channel=Channel(ours), process=process, pid=process.pid)


def fork_child(nursery: Child, *, verify: bool) -> Child:
    """Let a nursery fork itself: the new process knows at once what the nursery has learned."""
    ours, theirs = socket.socketpair()
    with theirs:
        nursery.channel.tell_with_descriptor({"fork": True, "verify": verify}, theirs.fileno())
    return Child(channel=Channel(ours), mark=nursery.mark, verifies=verify)
