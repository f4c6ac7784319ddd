"""The helper processes of a run, as the coordinator sees them."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.kernel.process.commands import own_command
from oomguard.preparation.engines.messages import Channel

if TYPE_CHECKING:
    from oomguard.preparation.engines.work import Work

_PATIENCE_SECONDS = 5.0


@dataclass(eq=False)
class Child:
    """A running helper process and what it was given to do."""

    channel: Channel
    process: subprocess.Popen[bytes]
    ready: bool = False
    verifies: bool = False
    rss: int = 0
    outstanding: dict[int, Work] = field(default_factory=dict)  # by slot
    planning: int | None = None  # the source whose rows it was asked to plan

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def close(self, *, kill: bool = False) -> int:
        """End the process, which ends by itself when its channel closes; give its exit status."""
        if kill:
            self.process.kill()
        self.channel.connection.close()
        try:
            return self.process.wait(timeout=_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def start_child(module: str, *, share: tuple[int, ...], stdin: bool = False) -> Child:
    """Start `oomguard.preparation.engines.<module>` with the file descriptors `share`.

    Its first message must be its configuration: not an argument, whose length is limited, since thousands of sources
    are named in it.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            own_command(f"oomguard.preparation.engines.{module}", str(theirs.fileno()), str(os.getpid())),
            stdin=None if stdin else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *share),
            process_group=0,  # Ctrl-C is the coordinator's to handle
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"},
        )
    return Child(channel=Channel(ours), process=process)
