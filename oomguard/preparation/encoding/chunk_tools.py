"""What all chunks are encoded with: the engine, who verifies it, the slots, and the bytes that are read of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from isal import isal_zlib  # its CRC-32 is zlib's, in a tenth of the time

from oomguard.kernel.plain_files import open_input
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.load_engine import load_engine
from oomguard.preparation.encoding.safe_cuts import unify_newlines
from oomguard.preparation.encoding.verifier import Verifier
from oomguard.preparation.engines.slots import SlotLayout, Slots
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.preparation.engines.messages import EncodeTask, WorkerConfig

_USUAL_CHUNK = 2 * MIB  # whose buffer is kept
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
        self._buffer = bytearray()
        self.crc = 0  # of the bytes of the file that the chunk is
        self._file: tuple[str, int] | None = None
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def room(self, task: EncodeTask) -> tuple[memoryview, memoryview]:
        """For the tokens of a chunk, and for the ends of its documents: none where nobody wants to know them."""
        ends = self.slots.end_room(task.slot) if self.config.with_ends else _NO_ENDS
        return self.slots.token_room(task.slot), ends

    def scratch(self, task: EncodeTask) -> int:
        """Bytes that may be taken for a long word."""
        return max(task.scratch, self.config.scratch)

    def read(self, task: EncodeTask) -> memoryview:
        """The bytes of a chunk, from its slot or its file. Raises: OSError."""
        if task.path is None:
            return self.slots.text(task.slot, task.size)
        if len(self._buffer) < task.size or len(self._buffer) > max(_USUAL_CHUNK, task.size):
            self._buffer = bytearray(max(task.size, _USUAL_CHUNK // 2))
        view, fd, got = memoryview(self._buffer)[: task.size], self._open(task.path), 0
        while got < task.size:
            more = os.preadv(fd, [view[got:]], task.offset + got)
            if not more:
                raise OSError(0, "the file became shorter while it was read")
            got += more
        self.crc = isal_zlib.crc32(view)
        return view

    def _open(self, path: str) -> int:
        if self._file is None or self._file[0] != path:
            if self._file is not None:
                os.close(self._file[1])
            self._file = None
            self._file = (path, open_input(path))
        return self._file[1]

    def rss(self) -> int:
        """Of this process, in bytes."""
        return int(os.pread(self._statm, 64, 0).split()[1]) * _PAGE

    def unified(self, text: bytes) -> bytes:
        """The text with the line ends that were asked for."""
        return unify_newlines(text) if self.config.newlines == "universal" else text
