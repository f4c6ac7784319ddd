"""A worker: a process that takes chunks of the input and does all that can be done beside others.

It reads its own range of a file, or decodes its own rows, checks that the text is UTF-8, encodes it into the slot that
came with the task, and counts documents. docs/decisions/0005 says why it is a process and no thread.
"""

from __future__ import annotations

from oomguard.preparation.encoding.chunk_encoder import ChunkEncoder
from oomguard.preparation.engines.allocators import keep_freed
from oomguard.preparation.engines.messages import Encoded, EncodeTask, WorkerConfig, channel_of_helper

# The kernel, when it must, ends a worker rather than the coordinator: its chunk is then done again.
_OOM_SCORE_ADJ = 700


def main() -> None:
    """Answer tasks until the coordinator is gone."""
    channel = channel_of_helper(_OOM_SCORE_ADJ)
    messages = iter(channel)
    config = next(messages, None)
    if config is None:
        return
    settled = WorkerConfig(**config)
    if settled.loose:
        keep_freed(settled.loose)
    encoder = ChunkEncoder(settled)
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
