"""The helper processes of a run, as the coordinator sees them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import oomguard
from oomguard.preparation.messages import Channel

if TYPE_CHECKING:
    from oomguard.preparation.messages import EncoderConfig, ReaderConfig
    from oomguard.preparation.work import Work

# -P and an appended path: a file named json.py in the folder where the user works is never imported.
_START = "import sys; sys.path.append({path!r}); from {module} import main; main()"


@dataclass(eq=False)
class Child:
    """A running helper process and what it was given to do."""

    process: subprocess.Popen[bytes]
    channel: Channel
    mark: bytes = b""
    ready: bool = False
    leaving: bool = False
    rss: int = 0
    outstanding: dict[int, Work] = field(default_factory=dict)  # by slot

    def close(self, *, kill: bool = False) -> int:
        """End the process and give its exit status. It ends by itself when its channel closes."""
        if kill:
            self.process.kill()
        self.channel.connection.close()
        try:
            return self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def start_child(module: str, config: EncoderConfig | ReaderConfig, *, mark: bytes, share: tuple[int, ...]) -> Child:
    """Start `oomguard.preparation.<module>` with the file descriptors `share`; the config is its first message."""
    ours, theirs = socket.socketpair()
    with theirs:
        code = _START.format(path=str(Path(oomguard.__file__).parents[1]), module=f"oomguard.preparation.{module}")
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, str(theirs.fileno()), str(os.getpid())],
            stdin=None if getattr(config, "stdin", False) else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *share),
            process_group=0,  # Ctrl-C is the coordinator's to handle
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"},
        )
    child = Child(process=process, channel=Channel(ours), mark=mark)
    child.channel.tell(config)  # not as an argument, whose length is limited: thousands of sources are named in it
    return child
