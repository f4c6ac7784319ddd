"""What the processes of a run say to each other: one JSON object a line, over a socket pair.

The coordinator sends `EncodeTask` and `RENEW` to an encoder, which answers each task with `Encoded`. It sends the
reader `{"read": source, "resume": ...}` and free slots `{"slot": n}`; the reader answers each slot with a piece, or
`{"end": source}`, `{"error": ...}`, or asks `{"need": bytes, "where": ...}` before it holds something large and waits
for `{"granted": true}` or `{"refused": ...}`. Either side's death is the end of the stream.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from oomguard.planning.safe_cuts import Family

ErrorPolicy = Literal["strict", "replace", "skip"]
EotPlace = Literal["before", "after", "none"]
Newlines = Literal["bytes", "universal"]
Verify = Literal["sample", "full", "off"]
RENEW = {"renew": True}


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
    growth: int  # bytes of anonymous memory by which a tokenizer may grow before it is renewed
    longest_word: int
    longest_piece: int
    slots: int
    slots_fd: int

    @property
    def family(self) -> Family:
        """How the encoding splits text."""
        from oomguard.preparation.encodings import find_encoding

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
    renewals: int = 0
    error: str | None = None  # "utf8", "word", "separator", "differs", "engine", "read"
    error_at: int = 0  # bytes from the start of the piece
    error_documents: int = 0  # documents of the piece that end before
    error_text: str = ""


class Channel:
    """JSON objects over a stream socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._pending = b""

    def send(self, message: Any) -> None:
        """Send a dataclass or a dict. Raises: OSError if the other side is gone."""
        plain = message if isinstance(message, dict) else asdict(message)
        self.connection.sendall(json.dumps(plain, separators=(",", ":")).encode() + b"\n")

    def tell(self, message: Any) -> None:
        """Send to a side that may be gone: who listens to this channel will hear of that."""
        try:
            self.send(message)
        except OSError:
            return

    def receive(self) -> list[dict[str, Any]] | None:
        """Wait for messages and give all there are; None when the other side is gone."""
        try:
            got = self.connection.recv(1 << 16)
        except (ConnectionResetError, BrokenPipeError):
            return None
        if not got:
            return None
        *lines, self._pending = (self._pending + got).split(b"\n")
        return [json.loads(line) for line in lines]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give messages until the other side is gone."""
        while (messages := self.receive()) is not None:
            yield from messages


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
