"""What a thread beside the one that writes a shard does for it: its hash, and its dirty pages to the disk."""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, Any

from oomguard.kernel.prctl import set_name
from oomguard.kernel.storage import start_writeback
from oomguard.units import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable

# Dirty pages count against a cgroup's limit and must not pile up: each of these is handed to the disk at once.
FLUSHED_BYTES = 4 << 20
_LEAST_FOR_A_THREAD = 64 * KIB  # less is hashed sooner than another thread hears of it


class SideThread:
    """Does one thing after another while its owner does others."""

    def __init__(self, name: str) -> None:
        """Begin no thread before there is something to do; `name` is what the kernel shows."""
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._under_way = 0
        self._thread: threading.Thread | None = None

    def begin(self, function: Callable[..., object], *arguments: Any) -> None:
        """Begin to call it; what it uses must stay as it is until `wait`. Where there is no thread, it is done now."""
        if self._is_there():
            self._calls.put((function, arguments))
            self._under_way += 1
        else:
            function(*arguments)

    def wait(self) -> None:
        """Wait until all is done. Raises: what went wrong first."""
        first = None
        while self._under_way:
            failure = self._done.get()
            self._under_way -= 1
            first = first or failure
        if first is not None:
            raise first

    def close(self) -> None:
        """Wait, and end the thread; another one is begun if more comes. Raises: nothing."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join()
        self._thread = None

    def _is_there(self) -> bool:
        """Start the thread; says False where there may be no more threads."""
        if self._thread is None:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _run(self) -> None:
        set_name(self._name)
        while (call := self._calls.get()) is not None:
            function, arguments = call
            failure = None
            try:
                function(*arguments)
            except BaseException as problem:  # noqa: BLE001 - `wait` raises it
                failure = problem
            del call, arguments  # a view keeps its memory from being unmapped
            self._done.put(failure)


class HashThread:
    """A digest that is taken while its owner writes the same bytes: neither has to wait for the other's time."""

    def __init__(self, digest: Any) -> None:
        self.digest = digest  # of hashlib; another may take its place after `wait`
        self._thread = SideThread("oomguard-hash")

    def begin(self, data: memoryview) -> None:
        """Begin to take in `data`, which must stay as it is until `wait`."""
        if len(data) >= _LEAST_FOR_A_THREAD:
            self._thread.begin(self.digest.update, data)
        else:
            self.wait()
            self.digest.update(data)

    def wait(self) -> None:
        """Wait until all is taken in. Raises: what went wrong."""
        self._thread.wait()

    def hexdigest(self) -> str:
        """Give the digest of all that was taken in."""
        self.wait()
        return str(self.digest.hexdigest())

    def close(self) -> None:
        """End the thread; another one is begun if more comes."""
        self._thread.close()


def flush_stretch(fd: int, start: int, end: int) -> None:
    """Wait for the stretch before this one, which is then not kept in the page cache, and begin to write this one."""
    before = max(0, start - FLUSHED_BYTES)
    start_writeback(fd, before, start - before, wait=True)
    os.posix_fadvise(fd, 0, start, os.POSIX_FADV_DONTNEED)
    start_writeback(fd, start, end - start, wait=False)


def hash_part(fd: int, digest: Any, start: int, end: int) -> Any:
    """Add the bytes from `start` to `end` of a file, as far as there are so many."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    buffer = memoryview(bytearray(MIB))
    while start < end:
        got = os.preadv(fd, [buffer[: min(MIB, end - start)]], start)
        if not got:
            break
        digest.update(buffer[:got])
        start += got
        os.posix_fadvise(fd, 0, start, os.POSIX_FADV_DONTNEED)  # page cache counts against the budget
    return digest
