"""The bytes of a chunk: in its slot, or read from its file, with their checksum."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from isal import isal_zlib  # its CRC-32 is zlib's, in a tenth of the time

from oomguard.kernel.plain_files import open_input, read_into
from oomguard.preparation.encoding.native import private_memory
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.preparation.engines.messages import EncodeTask
    from oomguard.preparation.engines.slots import Slots

_USUAL_CHUNK = 2 * MIB  # whose buffer is kept; where it is not reached, it takes no memory


class ChunkBytes:
    """Reads one chunk after another."""

    def __init__(self, slots: Slots, *, once: bool) -> None:
        """`once`: what is read of files is not kept in the page cache."""
        self.crc = 0  # of what was read last of a file
        self._slots = slots
        self._once = once
        self._buffer = private_memory(_USUAL_CHUNK)
        self._file: tuple[str, int] | None = None

    def read(self, task: EncodeTask) -> memoryview:
        """The bytes of a chunk, from its slot or its file. Raises: OSError."""
        if task.path is None:
            return self._slots.text(task.slot, task.size)
        if not task.size <= len(self._buffer) <= max(_USUAL_CHUNK, task.size):
            self._buffer = private_memory(max(task.size, _USUAL_CHUNK))
        view, fd, got = memoryview(self._buffer)[: task.size], self._open(task.path), 0
        while got < task.size:
            more = read_into(fd, view[got:], task.offset + got, once=self._once)
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
