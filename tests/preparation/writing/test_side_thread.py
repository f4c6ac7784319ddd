"""What a thread does beside the one that writes."""

import hashlib
import threading

import pytest

from oomguard.preparation.writing.side_thread import HashThread


@pytest.mark.parametrize("may_start", [True, False])
def test_a_hash_beside_the_writing_is_that_of_the_bytes(may_start: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In their order, small parts and large ones; also where no thread can be had."""
    if not may_start:

        def refuse(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refuse)
    data = bytes(range(256)) * 4096
    hashed = HashThread(hashlib.sha256())
    start = 0
    for size in (1, 100_000, 65_536, 65_535, 7, 300_000, len(data)):
        hashed.begin(memoryview(data)[start : start + size])
        start += size
    assert hashed.hexdigest() == hashlib.sha256(data).hexdigest()
    hashed.close()
    hashed.begin(memoryview(data))  # begun again
    assert hashed.hexdigest() == hashlib.sha256(2 * data).hexdigest()
    hashed.close()


def test_what_goes_wrong_while_hashing_is_raised() -> None:
    class Broken:
        def update(self, data: memoryview) -> None:
            raise MemoryError

    hashed = HashThread(Broken())
    hashed.begin(memoryview(bytes(1 << 20)))
    with pytest.raises(MemoryError):
        hashed.wait()
    hashed.close()
