"""What all chunks are encoded with: the engine, who verifies it, the slots, and who reads their bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.preparation.encoding.chunk_bytes import ChunkBytes
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.load_engine import load_engine
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.encoding.verifier import Verifier
from oomguard.preparation.engines.slots import SlotLayout, Slots

if TYPE_CHECKING:
    from oomguard.preparation.engines.messages import EncodeTask, WorkerConfig

_PAGE = os.sysconf("SC_PAGE_SIZE")
_NO_ENDS = memoryview(b"")


class ChunkTools:
    """One set of them, for one worker."""

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self._spec = EncodingSpec(**config.spec)
        layout = SlotLayout(
            longest_piece=config.longest_piece,
            token_bytes=self._spec.token_bytes,
            slots=config.slots,
            with_origins=config.with_origins,
        )
        self.slots = Slots(layout, config.slots_fd)
        self.engine = load_engine(
            self._spec, Path(config.rank_file), cache_bits=config.cache_bits, vocabulary_fd=config.vocabulary_fd
        )
        self.verifier = Verifier(config.verify, self._spec, config.rank_file, engine=self.engine.name)
        self.eot = self._spec.eot if config.eot != "none" else -1
        self.bytes = ChunkBytes(self.slots, once=config.read_once)
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def room(self, task: EncodeTask) -> tuple[memoryview, memoryview]:
        """For the tokens of a chunk, and for the ends of its documents: none where nobody wants to know them."""
        ends = self.slots.end_room(task.slot) if self.config.with_ends else _NO_ENDS
        return self.slots.token_room(task.slot), ends

    def scratch(self, task: EncodeTask) -> int:
        """Bytes that may be taken for a long word."""
        return max(task.scratch, self.config.scratch)

    def rss(self) -> int:
        """Of this process, in bytes."""
        return int(os.pread(self._statm, 64, 0).split()[1]) * _PAGE

    def unified(self, text: bytes) -> bytes:
        """The text with the line ends that were asked for."""
        return unify_newlines(text) if self.config.newlines == "universal" else text
