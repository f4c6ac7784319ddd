"""Reading /dev/kmsg: one read gives one record, a gap is no end, and what came before a block is not its own."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from oomguard.kernel.logs import kmsg
from oomguard.kernel.logs.kmsg import KernelMessages, read_records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

RECORDS = [
    b"6,339,5140900,-;NET: Registered protocol family 10\n",  # Documentation/ABI/testing/dev-kmsg
    b"4,340,5690716,-;BTRFS warning (device sda1): swapfile must not be copy-on-write\n SUBSYSTEM=block\n",
]


@contextmanager
def ring(*records: bytes) -> Iterator[int]:
    """A descriptor that gives a record a read, and EAGAIN after the last, as the device does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        for record in records:
            theirs.send(record)
        ours.settimeout(0)
        yield ours.fileno()


def test_each_record_is_read_once_and_the_end_is_no_error() -> None:
    with ring(*RECORDS) as log:
        assert list(read_records(log)) == RECORDS
        assert list(read_records(log)) == []


def test_what_was_overwritten_is_a_gap_and_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bytes | OSError] = [
        RECORDS[0],
        OSError(errno.EPIPE, "gone"),
        RECORDS[1],
        OSError(errno.EAGAIN, "no more"),
    ]

    def read(_fd: int, _size: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    monkeypatch.setattr(os, "read", read)
    assert list(read_records(7)) == RECORDS


def test_messages_of_a_block_are_without_prefixes_and_dictionaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ring(*RECORDS) as log:
        monkeypatch.setattr(kmsg, "open_kmsg", lambda _path: os.dup(log))
        monkeypatch.setattr(os, "lseek", lambda *_: 0)
        with KernelMessages(tmp_path) as messages:
            assert messages.read() == [
                "NET: Registered protocol family 10",
                "BTRFS warning (device sda1): swapfile must not be copy-on-write",
            ]


def test_where_the_log_may_not_be_read_there_are_no_messages(tmp_path: Path) -> None:
    with KernelMessages(tmp_path) as messages:
        assert messages.read() == []
