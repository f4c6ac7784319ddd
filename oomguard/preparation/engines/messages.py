"""What the processes of a run say to each other: one JSON object a line, over a socket pair.

The coordinator sends each `EncodeTask` to an encoder, which answers with `Encoded`. The nursery also gets
`{"fork": true, "verify": ...}` with a socket, on which its new process first says `{"ready": true, "pid": ..., "rss":
...}`; when one of them ends, the nursery says `{"ended": pid, "status": ...}`.

It sends the reader `{"read": source, "resume": ...}` and free slots `{"slot": n}`; the reader answers each slot with a
piece, or `{"end": source}`, `{"error": ...}`, or asks `{"need": bytes, "where": ...}` before it holds something large
and waits for `{"granted": true}` or `{"refused": ...}`. Either side's death is the end of the stream.
"""

from __future__ import annotations

import json
import secrets
import socket
from collections import deque
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.encoding.safe_cuts import Family

ErrorPolicy = Literal["strict", "replace", "skip"]
EotPlace = Literal["before", "after", "none"]
Newlines = Literal["bytes", "universal"]
Verify = Literal["sample", "full", "off"]
_DESCRIPTORS = 4  # that may come with one message


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """All that an encoder process is told when it starts."""

    encoding: str
    rank_file: str
    mark: str  # the text between two documents, as latin-1; "" = there is none
    eot: EotPlace
    newlines: Newlines
    errors: ErrorPolicy
    with_ends: bool
    verify: Verify
    learn: int  # bytes by which a tokenizer that knows nothing yet may grow before its process takes no more pieces
    growth: int  # the same for one that was forked from a nursery which had learned
    longest_word: int
    longest_piece: int
    slots: int
    slots_fd: int

    @property
    def family(self) -> Family:
        """How the encoding splits text."""
        from oomguard.preparation.encoding.encodings import find_encoding

        return find_encoding(self.encoding).family


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeTask:
    """One piece. With a `path` its text is read from there, else it is in the slot."""

    slot: int
    size: int  # bytes
    path: str | None = None
    offset: int = 0
    starts_document: bool
    ends_document: bool
    strip_mark: bool = False  # the piece is the end of its file, where a mark ends a document and begins none


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """The answer to a task, or what is wrong with its text."""

    slot: int
    tokens: int = 0
    documents: int = 0  # that end in the piece
    repaired: int = 0  # invalid bytes replaced or left out
    verified_documents: int = 0
    verified_bytes: int = 0
    rss: int = 0  # of the process
    learned: int = 0  # bytes by which the process has grown since its tokenizer knew nothing
    leaves: bool = False  # its tokenizer has grown as far as it may: it takes no more pieces
    error: str | None = None  # "utf8", "word", "separator", "differs", "engine", "read"
    error_at: int = 0  # bytes from the start of the piece
    error_documents: int = 0  # documents of the piece that end before
    error_text: str = ""


def new_sentinel() -> bytes:
    """Make a text to stand between documents: U+FDD0 and U+FDD1 are noncharacters, and nobody can guess the rest."""
    return f"\ufdd0{secrets.token_hex(12)}\ufdd1".encode()


class Channel:
    """JSON objects over a stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.descriptors: list[int] = []  # that came with the messages, in their order
        self._pending = b""
        self._received: deque[dict[str, Any]] = deque()

    def send(self, message: Any) -> None:
        """Send a dataclass or a dict. Raises: OSError if the other side is gone."""
        plain = message if isinstance(message, dict) else asdict(message)
        self.connection.sendall(json.dumps(plain, separators=(",", ":")).encode() + b"\n")

    def tell_with_descriptor(self, message: dict[str, Any], descriptor: int) -> None:
        """Send a message and a file descriptor to a side that may be gone."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            socket.send_fds(self.connection, [line], [descriptor])  # unix(7): it comes with the line's first byte
        except OSError:
            return

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

    @property
    def has_received(self) -> bool:
        """Whether a message is here that was not given yet."""
        return bool(self._received)

    def _fill(self) -> bool:
        """Receive once, unless something is there already; False when the other side is gone."""
        if self._received:
            return True
        try:
            got, descriptors, _, _ = socket.recv_fds(self.connection, 1 << 16, _DESCRIPTORS)
        except (ConnectionResetError, BrokenPipeError):
            return False
        if not got:
            return False
        self.descriptors += descriptors
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
    """All that the reader process is told when it starts; what to read comes as messages."""

    sources: list[dict[str, Any]]
    text_field: str
    errors: ErrorPolicy
    separator: str  # as latin-1
    sentinel: str  # as latin-1; between documents that no separator divides
    universal_newlines: bool
    family: Family
    piece_bytes: int
    longest_piece: int
    largest_document: int
    token_bytes: int
    slots: int
    slots_fd: int
    stdin: bool = False
