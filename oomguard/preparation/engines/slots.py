"""Memory that the processes of a run share: one slot for each chunk that is under way.

A slot holds the chunk's text (when the stream reader made it), then its tokens, then where its documents end, then
(with --provenance) where in the input they begin. The file has no name, so nothing is left behind however the run ends,
and pages that were never touched cost nothing.
"""

from __future__ import annotations

import mmap
import os

from oomguard.errors import OomguardError
from oomguard.records import dataclass
from oomguard.units import format_size


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotLayout:
    """Sizes in bytes. `longest_piece` bounds the text of one slot."""

    longest_piece: int
    token_bytes: int
    slots: int
    with_origins: bool = False  # of documents

    @property
    def tokens_at(self) -> int:
        """Where the tokens begin: on a page of their own."""
        return _pages(self.longest_piece)

    @property
    def ends_at(self) -> int:
        """Where the ends of documents begin, int64[document_count].

        A byte of text gives at most one token, or three when it is invalid and U+FFFD takes its place; two more
        for end-of-text.
        """
        return self.tokens_at + _pages((3 * self.longest_piece + 2) * self.token_bytes)

    @property
    def origins_at(self) -> int:
        """Where the origins of documents begin, int64[document_count]."""
        return self.ends_at + self._documents

    @property
    def slot_bytes(self) -> int:
        """One slot."""
        return self.origins_at + (self._documents if self.with_origins else 0)

    @property
    def _documents(self) -> int:
        """Bytes for a number of each: as many documents can end in a text as it has bytes, and one more."""
        return _pages(8 * (self.longest_piece + 1))


def _pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE


class Slots:
    """The shared memory, mapped into this process."""

    def __init__(self, layout: SlotLayout, fd: int | None = None) -> None:
        self.layout = layout
        size = layout.slots * layout.slot_bytes
        try:
            self.fd = os.memfd_create("oomguard-slots") if fd is None else fd
            if fd is None:
                os.ftruncate(self.fd, size)
            self.memory = mmap.mmap(self.fd, size)
        except OSError as error:
            raise OomguardError(
                f"no address space for {format_size(size)} of shared memory (little of it is used): {error.strerror}",
                do="ulimit -v unlimited -f unlimited -n 1024, then the same command again",
            ) from error
        self.view = memoryview(self.memory)
        self._tokens_at, self._ends_at = layout.tokens_at, layout.ends_at
        self._origins_at, self._slot_bytes = layout.origins_at, layout.slot_bytes

    def close(self) -> None:
        """Close the file; what is mapped stays until nobody looks at it any more."""
        os.close(self.fd)

    def text(self, slot: int, size: int) -> memoryview:
        """The first `size` bytes of text in a slot."""
        start = slot * self._slot_bytes
        return self.view[start : start + size]

    def tokens(self, slot: int, count: int) -> memoryview:
        """The first `count` tokens in a slot, as bytes."""
        start = self.tokens_start(slot)
        return self.view[start : start + count * self.layout.token_bytes]

    def ends(self, slot: int, count: int) -> memoryview:
        """The first `count` document ends in a slot, int64: the token after each document's last."""
        start = slot * self._slot_bytes + self._ends_at
        return self.view[start : start + 8 * count].cast("q")

    def token_room(self, slot: int) -> memoryview:
        """All the room for tokens in a slot, as an array of them."""
        start, end = self.tokens_start(slot), slot * self._slot_bytes + self._ends_at
        return self.view[start:end].cast("H" if self.layout.token_bytes == 2 else "I")

    def end_room(self, slot: int) -> memoryview:
        """All the room for document ends in a slot, int64."""
        start = slot * self._slot_bytes
        return self.view[start + self._ends_at : start + self._origins_at].cast("q")

    def origins(self, slot: int, count: int) -> memoryview:
        """Room for the first `count` origins in a slot, int64: where in its source each document begins."""
        start = slot * self._slot_bytes + self._origins_at
        return self.view[start : start + 8 * count].cast("q")

    def tokens_start(self, slot: int) -> int:
        """Offset of a slot's tokens in the whole memory."""
        return slot * self._slot_bytes + self._tokens_at

    def free_pages(self, slot: int) -> None:
        """Give a slot's memory back to the kernel; it reads as zeros afterwards."""
        start = slot * self._slot_bytes
        self.memory.madvise(mmap.MADV_REMOVE, start, self._slot_bytes)
