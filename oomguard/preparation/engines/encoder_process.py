"""Encoders: processes that turn pieces of text into tokens in shared memory.

Processes and not threads: gigatoken holds the GIL while it encodes, and a process gives all its memory back. The first
one is the nursery. It encodes until its tokenizer has learned the common words, then takes no more pieces; all others
are forked from it. So the libraries are loaded once, their memory and the nursery's words are shared, and a tokenizer
that has grown too large is exchanged for a fresh one in milliseconds.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from oomguard.kernel.process.prctl import die_with_parent, set_oom_score_adj
from oomguard.preparation.engines.allocators import settle_allocators
from oomguard.preparation.engines.messages import Channel, Encoded, EncoderConfig, EncodeTask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.encoding.piece_encoder import PieceEncoder

# The kernel, when it must, ends an encoder rather than the coordinator: its piece is then done again. With the nursery
# all encoders end.
_ENCODER_OOM_SCORE_ADJ = 700
_NURSERY_OOM_SCORE_ADJ = 500


def main() -> None:
    """Encode and fork until the coordinator is gone."""
    socket_fd, parent_pid = map(int, sys.argv[1:])
    die_with_parent(parent_pid)
    set_oom_score_adj(_NURSERY_OOM_SCORE_ADJ)
    settle_allocators()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to handle
    os.environ["OPENBLAS_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"
    from oomguard.preparation.encoding.piece_encoder import PieceEncoder

    with suppress(ImportError):
        import gigatoken  # noqa: F401 - now, while the coordinator is not yet there to say what to do

    channel = Channel(socket.socket(fileno=socket_fd))
    config = next(iter(channel), None)
    if config is None:
        return
    encoder = PieceEncoder(EncoderConfig(**config))
    gc.collect()
    gc.freeze()  # else each fork's first collection would touch, and so copy, every page of objects
    _be_nursery(channel, encoder)


def _be_nursery(channel: Channel, encoder: PieceEncoder) -> None:
    _say_ready(channel, encoder)
    is_encoding = True
    wake_fd = _wake_on_signal(signal.SIGCHLD)
    children: set[int] = set()
    for message in _messages(channel, wake_fd):
        if message is None:
            _tell_ends(channel, children)
        elif "fork" in message:
            children.add(_fork(channel, encoder, verify=message["verify"]))
        elif is_encoding:
            # Once it has learned enough, tasks that were under way to it are for others.
            is_encoding = _answer(channel, encoder, EncodeTask(**message))


def _messages(channel: Channel, wake_fd: int) -> Iterator[dict[str, Any] | None]:
    """Give the coordinator's messages until it is gone, and None when a process has ended."""
    poll = select.poll()
    poll.register(channel.connection, select.POLLIN)
    poll.register(wake_fd, select.POLLIN)
    ready = channel.has_received  # with the message before
    while True:
        if ready:
            messages = channel.receive()
            if messages is None:
                return
            yield from messages
        ready = False
        for fd, _ in poll.poll():
            if fd == wake_fd:
                with suppress(BlockingIOError):
                    os.read(wake_fd, 1 << 10)
                yield None
            else:
                ready = True


def _wake_on_signal(number: signal.Signals) -> int:
    """Give a descriptor that can be read when the signal has come."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(number, lambda *_: None)
    return reading


def _tell_ends(channel: Channel, children: set[int]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            children.discard(pid)
            channel.tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _fork(nursery: Channel, encoder: PieceEncoder, *, verify: bool) -> int:
    """Give the pid of a new encoder, which answers to the socket that came with the message."""
    socket_fd = nursery.descriptors.pop(0)
    parent_pid = os.getpid()
    pid = os.fork()
    if not pid:
        _be_forked(nursery, encoder, socket_fd, parent_pid, verify=verify)
    os.close(socket_fd)
    return pid


def _be_forked(nursery: Channel, encoder: PieceEncoder, socket_fd: int, parent_pid: int, *, verify: bool) -> NoReturn:
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        die_with_parent(parent_pid)
        set_oom_score_adj(_ENCODER_OOM_SCORE_ADJ)
        nursery.connection.close()
        for other in nursery.descriptors:  # whose owners are yet to be forked
            os.close(other)
        encoder.be_forked(verify=verify)
        _be_encoder(Channel(socket.socket(fileno=socket_fd)), encoder)
        status = 0
    except BaseException:  # noqa: BLE001 - nothing of the nursery's stack may run on in this process
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(status)


def _be_encoder(channel: Channel, encoder: PieceEncoder) -> None:
    """Answer tasks until the coordinator is gone, or the tokenizer has grown as far as it may."""
    _say_ready(channel, encoder)
    for message in channel:
        if not _answer(channel, encoder, EncodeTask(**message)):
            return


def _say_ready(channel: Channel, encoder: PieceEncoder) -> None:
    channel.send({"ready": True, "pid": os.getpid(), "rss": encoder.memory.rss()})


def _answer(channel: Channel, encoder: PieceEncoder, task: EncodeTask) -> bool:
    """Encode a piece; says whether there may be another one."""
    try:
        answer = encoder.encode(task)
    except OSError as error:
        answer = Encoded(slot=task.slot, error="read", error_text=error.strerror or str(error))
    channel.send(answer)
    return not answer.leaves


if __name__ == "__main__":
    main()
