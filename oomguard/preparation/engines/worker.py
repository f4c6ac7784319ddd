"""A worker: a process that takes chunks of the input and does all that can be done beside others.

It reads its own range of a file, or decodes its own rows, checks that the text is UTF-8, encodes it into the slot that
came with the task, and counts documents. docs/decisions/0005 says why it is a process and no thread.
"""

from __future__ import annotations

import signal
import socket
import sys

from oomguard.kernel.process.prctl import die_with_parent, set_oom_score_adj
from oomguard.preparation.encoding.chunk_encoder import ChunkEncoder
from oomguard.preparation.engines.allocators import settle_allocators
from oomguard.preparation.engines.messages import Channel, Encoded, EncodeTask, WorkerConfig

# The kernel, when it must, ends a worker rather than the coordinator: its chunk is then done again.
_OOM_SCORE_ADJ = 700


def main() -> None:
    """Answer tasks until the coordinator is gone."""
    socket_fd, parent_pid = map(int, sys.argv[1:])
    die_with_parent(parent_pid)
    set_oom_score_adj(_OOM_SCORE_ADJ)
    settle_allocators()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    channel = Channel(socket.socket(fileno=socket_fd))
    messages = iter(channel)
    config = next(messages, None)
    if config is None:
        return
    encoder = ChunkEncoder(WorkerConfig(**config))
    channel.send({"ready": encoder.engine_name})
    for message in messages:
        if "plan" in message:
            from oomguard.preparation.reading.parquet import plan_groups

            channel.send({"planned": message["plan"], **plan_groups(message)})
            continue
        if "check" in message:
            from oomguard.preparation.reading.first_look import check_columns

            channel.send({"checked": check_columns(message["check"])})
            continue
        task = EncodeTask(**message)
        try:
            answer = encoder.encode(task)
        except OSError as error:
            answer = Encoded(slot=task.slot, error="read", error_text=error.strerror or str(error))
        channel.send(answer)


if __name__ == "__main__":
    main()
