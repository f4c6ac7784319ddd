"""An encoder: a process of its own that turns pieces of text into tokens in shared memory.

Processes and not threads: gigatoken holds the GIL while it encodes, and a process gives all its memory back.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import TYPE_CHECKING

from oomguard.linux.process_control import die_with_parent, set_oom_score_adj
from oomguard.preparation.allocators import settle_allocators
from oomguard.preparation.messages import Channel, Encoded, EncoderConfig, EncodeTask

if TYPE_CHECKING:
    from oomguard.preparation.piece_encoder import PieceEncoder

# The kernel, when it must, ends an encoder rather than the coordinator: its piece is then done again.
_OOM_SCORE_ADJ = 700


def main() -> None:
    """Answer tasks until the coordinator is gone."""
    socket_fd, parent_pid = map(int, sys.argv[1:])
    die_with_parent(parent_pid)
    set_oom_score_adj(_OOM_SCORE_ADJ)
    settle_allocators()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"
    channel = Channel(socket.socket(fileno=socket_fd))
    messages = iter(channel)
    config = EncoderConfig(**next(messages))

    from oomguard.preparation.piece_encoder import PieceEncoder

    encoder = PieceEncoder(config)
    channel.send({"ready": True, "rss": encoder.memory.rss()})
    for message in messages:
        if "renew" in message:
            encoder.renew()
        else:
            _answer(channel, encoder, EncodeTask(**message))


def _answer(channel: Channel, encoder: PieceEncoder, task: EncodeTask) -> None:
    try:
        answer = encoder.encode(task)
    except OSError as error:
        answer = Encoded(slot=task.slot, error="read", error_text=error.strerror or str(error))
    channel.send(answer)


if __name__ == "__main__":
    main()
