"""The helper processes of a run, as the coordinator sees them: how each is started, and what it is told."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import asdict, field
from typing import TYPE_CHECKING

from oomguard.kernel.process import own_command
from oomguard.preparation.engines.memory_sum import SCRATCH
from oomguard.preparation.engines.messages import Channel, ReaderConfig, WorkerConfig
from oomguard.records import dataclass
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.job import Job

# Of the usual size, in a page that is not divided: for what is left of one, it is decoded again from its beginning.
_MOST_CHUNKS = 16
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

    def position_in(self, path: str) -> int:
        """How far it is in a file that it reads; 0: not known."""
        from oomguard.kernel.proc.open_files import file_position  # 10 ms, which most jobs need not pay

        return file_position(self.pid, path) or 0

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


def _start_child(module: str, *, share: tuple[int, ...], stdin: bool = False) -> Child:
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


def start_worker(job: Job, slots: Slots) -> Child:
    """Start one, which imports what it needs; it waits for its configuration."""
    return _start_child("worker", share=_shared_descriptors(job, slots))


def start_reader(job: Job, slots: Slots) -> Child:
    """Start it, and tell it what it needs to know."""
    config = _reader_config(job, slots)
    reader = _start_child("reader_process", share=(slots.fd,), stdin=config.stdin)
    reader.channel.tell(config)
    return reader


def _shared_descriptors(job: Job, slots: Slots) -> tuple[int, ...]:
    """What workers inherit."""
    return tuple(fd for fd in (slots.fd, job.rank_fd, job.vocabulary_fd) if fd >= 0)


def worker_config(job: Job, slots: Slots, *, verify: bool) -> WorkerConfig:
    """What a worker is told; of a sample, one that verifies is enough."""
    return WorkerConfig(
        spec=asdict(job.resolved.spec),
        rank_file=str(job.rank_file),
        eot=job.resolved.eot,
        newlines=job.options.newlines,
        errors=job.options.errors,
        with_ends=job.with_ends,
        with_origins=job.options.provenance,
        verify=job.options.verify if verify else "off",
        cache_bits=job.budget.cache_bits,
        vocabulary_fd=job.vocabulary_fd,
        scratch=SCRATCH,
        longest_piece=slots.layout.longest_piece,
        most_text=min(slots.layout.longest_piece, _MOST_CHUNKS * job.budget.piece_bytes),
        slots=slots.layout.slots,
        slots_fd=slots.fd,
        to_the_fault=job.options.bad_files == "skip",
        loose=job.budget.loose,
        read_once=job.reads_once,
    )


def _reader_config(job: Job, slots: Slots) -> ReaderConfig:
    """What the reader is told."""
    return ReaderConfig(
        errors=job.options.errors,
        separator=job.resolved.separator.decode("latin-1"),
        universal_newlines=job.options.newlines == "universal",
        family=job.resolved.spec.family,
        piece_bytes=min(job.budget.piece_bytes, MIB),
        longest_piece=job.budget.longest_piece,
        largest_document=job.budget.largest_document,
        token_bytes=job.resolved.spec.token_bytes,
        slots=slots.layout.slots,
        slots_fd=slots.fd,
        val_share=str(job.share_of_each_text),
        with_origins=job.options.provenance,
        to_the_fault=job.options.bad_files == "skip",
        stdin=any(source.path == "-" for source in job.sources),
    )
