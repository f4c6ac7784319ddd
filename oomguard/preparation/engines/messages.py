"""What the processes of a run say to each other: one JSON object a line, over a socket pair.

The coordinator sends each `EncodeTask` to a worker, which answers with `Encoded`. It sends the stream reader `{"read":
source, "resume": ...}` and free slots `{"slot": n}`; the reader answers each slot with a chunk, or `{"end": source}`,
`{"error": ...}`, or asks `{"need": bytes, "where": ...}` before it holds something large and waits for `{"granted":
true}` or `{"refused": ...}`. Either side's death is the end of the stream.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import MISSING, field, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from oomguard.records import dataclass

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from oomguard.preparation.encoding.safe_cuts import Family

ErrorPolicy = Literal["strict", "replace", "skip"]
EotPlace = Literal["before", "after", "none"]
Newlines = Literal["bytes", "universal"]
Verify = Literal["sample", "full", "off"]
BadFiles = Literal["stop", "skip"]
TaskKind = Literal["text", "lines", "rows", "documents", "values"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfig:
    """All that a worker is told when it starts."""

    spec: dict[str, Any]  # the EncodingSpec
    rank_file: str  # the tokenizer's file, by descriptor
    eot: EotPlace
    newlines: Newlines
    errors: ErrorPolicy
    with_ends: bool
    verify: Verify
    cache_bits: int  # of the native core's state
    vocabulary_fd: int  # a prepared vocabulary in shared memory; -1: there is none
    scratch: int  # bytes that it may take for a long word without asking
    longest_piece: int
    most_text: int  # of rows in one chunk, unless one alone has more
    slots: int
    slots_fd: int
    loose: int = 0  # bytes that malloc may keep, if that is more than it usually does
    with_origins: bool = False  # workers say where in the source documents begin
    to_the_fault: bool = False  # a bad document ends its file: those before it are kept
    read_once: bool = False  # what is read does not stay in the page cache


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeTask:
    """One chunk. With a `path` its bytes are read from there, else they are in the slot."""

    slot: int
    size: int  # bytes; of rows: what decoding them takes
    kind: TaskKind = "text"
    path: str | None = None
    offset: int = 0
    origin: int = 0  # of its first byte or row in the source: not the offset where it comes in a slot, or as rows
    field: str = "text"  # of lines, values and rows: where the text is
    scratch: int = 0  # bytes that may be taken for a long word, beyond what the configuration says
    # text
    mark: str = ""  # between two documents, as latin-1; "": it is one document
    starts_document: bool = True
    ends_document: bool = True
    strip_mark: bool = False  # the chunk is the end of its file, where a mark ends a document and begins none
    # rows of a parquet file: pages of one row group, of which some rows are taken
    group: int = 0
    page: int = 0
    pages: int = 0
    skip: int = 0  # rows of these pages that are passed over
    rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The answer to a task, or what is wrong with its text."""

    slot: int
    tokens: int = 0
    documents: int = 0  # that end in the chunk
    text_bytes: int = 0
    rows: int = 0  # that were done: the others are for another time
    lines: int = 0  # of the input, with those that are blank or left out
    left_out: int = 0
    repaired: int = 0  # invalid bytes replaced or left out
    verified_documents: int = 0
    verified_bytes: int = 0
    is_open: bool = False  # its last document continues behind it
    open_from: int = -1  # with origins: where a document begins that does not end in it; -1: none does
    crc: int = 0  # CRC-32 of the chunk, as it was read
    read: list[list[int]] = field(default_factory=list)  # of rows: what was read of the file: start, end, CRC-32
    rss: int = 0  # of the process
    error: str | None = None  # "utf8", "room", "separator", "differs", "engine", "read", "input"
    error_at: int = 0  # bytes from the start of the chunk; of lines and rows: which of them, from 0
    error_documents: int = 0  # documents of the chunk that end before
    error_text: str = ""
    error_do: str = ""
    needs: int = 0  # of "room": bytes


@cache
def _defaults(kind: type) -> list[tuple[str, Any]]:
    """The fields of a message, and what each is where nothing is said; MISSING equals no value."""
    return [
        (one.name, one.default if one.default_factory is MISSING else one.default_factory()) for one in fields(kind)
    ]


class Channel:
    """JSON objects over a stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._pending = b""
        self._received: deque[dict[str, Any]] = deque()

    def send(self, message: Any) -> None:
        """Send a dataclass or a dict. Raises: OSError if the other side is gone."""
        # asdict() would look into each value, at ten times the cost: these are flat. Usual values are left out.
        plain = message
        if not isinstance(message, dict):
            plain = {n: value for n, usual in _defaults(message.__class__) if (value := getattr(message, n)) != usual}
        self.connection.sendall(json.dumps(plain, separators=(",", ":")).encode() + b"\n")

    def tell(self, message: Any) -> None:
        """Send to a side that may be gone: who listens to this channel will hear of that."""
        try:
            self.send(message)
        except OSError:
            return

    def receive(self) -> list[dict[str, Any]] | None:
        """Wait for messages and give all there are; None when the other side is gone."""
        if not self._fill():
            return None
        messages = list(self._received)
        self._received.clear()
        return messages

    def _fill(self) -> bool:
        """Receive once, unless something is there already; False when the other side is gone."""
        if self._received:
            return True
        try:
            got = self.connection.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            return False
        if not got:
            return False
        *lines, self._pending = (self._pending + got).split(b"\n")
        self._received += map(json.loads, lines)
        return True

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give messages until the other side is gone; who stops in between misses none."""
        while self._fill():
            while self._received:
                yield self._received.popleft()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """All that the stream reader is told when it starts; what to read comes as messages."""

    errors: ErrorPolicy
    separator: str  # as latin-1
    universal_newlines: bool
    family: Family
    piece_bytes: int
    longest_piece: int
    largest_document: int
    token_bytes: int
    slots: int
    slots_fd: int
    val_share: str = "0"  # a Fraction: of the end of each text on a server
    with_origins: bool = False
    to_the_fault: bool = False
    stdin: bool = False


def channel_of_helper(oom_score_adj: int) -> Channel:
    """In a helper process: the channel to the coordinator that started it, with which it ends.

    Its allocators give back what they do not use, and Ctrl-C is the coordinator's to handle.
    """
    import signal
    import socket
    import sys

    from oomguard.kernel.prctl import die_with_parent, set_oom_score_adj
    from oomguard.preparation.engines.allocators import settle_allocators

    socket_fd, parent_pid = map(int, sys.argv[1:])
    die_with_parent(parent_pid)
    set_oom_score_adj(oom_score_adj)
    settle_allocators()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return Channel(socket.socket(fileno=socket_fd))
