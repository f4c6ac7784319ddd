"""The encoder core in core/, by ctypes: text in, tokens into a buffer of the caller's, the GIL released meanwhile.

Buffers are what has the buffer protocol: bytes, bytearray, memoryview, mmap, ctypes, numpy, Arrow.
Sizes are in bytes and counts in tokens or documents, as the names say. Source of the structures: core/api.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import mmap
from array import array
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from oomguard.errors import OomguardError
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]  # 3.12

    from oomguard.preparation.encoding.splitters import Splitter

ABI = 6
_LIBRARY = Path(__file__).parent / "libcore.so.1"
SLACK_TOKENS = 64  # of room beyond the tokens that are written
SCRATCH_PER_BYTE = 36  # for a word longer than 64 bytes of which no part is independent
_PAGE = mmap.PAGESIZE


class CoreUnavailable(OomguardError):
    """The core is not installed or cannot be loaded. Encoding with tiktoken still works, slowly."""


class Status(enum.IntEnum):
    """How a call ended."""

    DONE = 0  # all is encoded; of a text that continues: all that does not depend on what follows
    FULL = 1  # no room for more tokens or ends
    BAD_UTF8 = 2  # error_at: where the first ill-formed sequence begins, as in UnicodeDecodeError.start
    TOO_LONG = 3  # error_at: where a word begins that needs scratch_needed bytes of scratch
    BAD_CALL = 4


class Tier(enum.IntEnum):
    """Which instructions the core uses; all give the same tokens."""

    PLAIN = 0
    SSE2 = 1
    AVX2 = 2
    NEON = 3


class _Job(ctypes.Structure):
    _fields_ = [
        ("text", ctypes.c_void_p),
        ("text_size", ctypes.c_uint64),
        ("consumed", ctypes.c_uint64),
        ("tokens", ctypes.c_void_p),
        ("token_room", ctypes.c_uint64),
        ("token_count", ctypes.c_uint64),
        ("ends", ctypes.c_void_p),
        ("end_room", ctypes.c_uint64),
        ("end_count", ctypes.c_uint64),
        ("tokens_before", ctypes.c_int64),
        ("delimiter", ctypes.c_void_p),
        ("delimiter_size", ctypes.c_uint64),
        ("offsets", ctypes.c_void_p),
        ("document_count", ctypes.c_uint64),
        ("document", ctypes.c_uint64),
        ("offset_size", ctypes.c_uint32),
        ("last", ctypes.c_uint32),
        ("in_document", ctypes.c_uint32),
        ("end_of_text", ctypes.c_int64),
        ("scratch", ctypes.c_void_p),
        ("scratch_size", ctypes.c_uint64),
        ("scratch_needed", ctypes.c_uint64),
        ("error_at", ctypes.c_uint64),
    ]


def _unavailable(what: str) -> CoreUnavailable:
    from oomguard.preparation.encoding.rebuilding import rebuild_command

    return CoreUnavailable(what, do=rebuild_command())


@cache
def load_core(library: Path = _LIBRARY) -> ctypes.CDLL:
    """Load the library.

    Raises: CoreUnavailable if it is not there, is not this version's, or cannot be loaded.
    """
    if not library.exists():
        raise _unavailable("the encoder core is not built")
    try:
        core = ctypes.CDLL(str(library))
    except OSError as error:
        raise _unavailable(f"the encoder core cannot be loaded: {error}") from error
    core.og_abi.restype = ctypes.c_uint32
    if core.og_abi() != ABI:
        raise _unavailable(f"the encoder core is version {core.og_abi()}, not {ABI}")
    pointer, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    core.og_unicode_version.restype = ctypes.c_char_p
    core.og_tiers.restype = u32
    core.og_vocabulary_measure.argtypes = [pointer, u64, ctypes.POINTER(u64), ctypes.POINTER(u64)]
    core.og_vocabulary_measure.restype = u64
    core.og_vocabulary_build.argtypes = [pointer, u64, pointer, u64, pointer, u64, ctypes.POINTER(ctypes.c_char_p)]
    core.og_vocabulary_build.restype = u64
    core.og_vocabulary_check.argtypes = [pointer, u64]
    core.og_state_size.argtypes = [u32]
    core.og_state_size.restype = u64
    core.og_state_init.argtypes = [pointer, u64, pointer, u32, u32, u32, u32, u32, u32]
    core.og_encode.argtypes = [pointer, ctypes.POINTER(_Job)]
    core.og_encode_documents.argtypes = [pointer, ctypes.POINTER(_Job)]
    for function in (core.og_utf8_prefix, core.og_json_lines, core.og_line_feeds):
        function.argtypes, function.restype = [pointer, u64], u64
    core.og_json_strings.argtypes = [pointer, u64, pointer, u64, pointer, u64]
    core.og_nfc_find.argtypes = [pointer, u64, u64, ctypes.POINTER(u64), ctypes.POINTER(u64)]
    return core


def unicode_version() -> str:
    """The Unicode version of the core's character classes, such as "16.0"."""
    return str(load_core().og_unicode_version().decode())


def available_tiers() -> list[Tier]:
    """What this machine can run, the fastest last."""
    bits = load_core().og_tiers()
    return [tier for tier in Tier if bits >> tier & 1]


def find_denormal(data: Buffer, start: int) -> tuple[int, int] | None:
    """Where, from `start` on, the first stretch is that might not be NFC or is ill-formed; it can be changed by itself.

    start: 0, or the end of such a stretch. Raises: CoreUnavailable.
    """
    core, begin, end = load_core(), ctypes.c_uint64(), ctypes.c_uint64()
    with Memory(data) as text:
        is_there = core.og_nfc_find(text.address, text.size, start, ctypes.byref(begin), ctypes.byref(end))
    return (begin.value, end.value) if is_there else None


class _PyBuffer(ctypes.Structure):
    """CPython's Py_buffer (Include/pybuffer.h), which gives the address of read-only memory as well."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_PyBuffer), ctypes.c_int]
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_PyBuffer)]
_WRITABLE = 1  # PyBUF_WRITABLE


class Memory:
    """Holds a buffer still while its address is in use."""

    def __init__(self, buffer: Buffer | None, *, writable: bool = False) -> None:
        self._view = _PyBuffer()
        self._held = buffer is not None
        self.address, self.size = None, 0
        if buffer is not None:
            _get_buffer(buffer, ctypes.byref(self._view), _WRITABLE if writable else 0)
            self.address, self.size = self._view.buf, self._view.len

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held:
            self._held = False
            _release_buffer(ctypes.byref(self._view))

    def __del__(self) -> None:
        self.__exit__()  # a vocabulary or a state is held as long as its object lives


def private_memory(size: int, *, huge: bool = False) -> mmap.mmap:
    """Zeroed memory of this process alone; Python's default is shared, and is counted as shmem."""
    memory = mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if not huge:
        return memory
    with contextlib.suppress(OSError):  # a kernel without transparent huge pages
        # A look-up touches two random lines of the cache, and as many small pages: 5 to 9 % of the time. No page beyond
        # `size` is taken for it.
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


class Vocabulary:
    """A vocabulary block: read-only, shared by the encoders of a process and, mapped from a file, of all processes."""

    def __init__(self, block: mmap.mmap | memoryview) -> None:
        """Take a block that is whole and trusted.

        Raises: ValueError if it is not a block of this version.
        """
        self._core = load_core()
        self._memory = Memory(block)
        self.block = block
        self.size = self._memory.size
        if self.size < 64 or not self._core.og_vocabulary_check(self._memory.address, self.size):
            raise ValueError("not a vocabulary block of this version")

    @classmethod
    def build(cls, ranks: bytes) -> Vocabulary:
        """Make a block in memory from the text of a rank file; GPT-2's takes 35 ms and 2.4 MiB.

        Raises: ValueError naming what is wrong with the rank file.
        """
        core = load_core()
        block_size, scratch_size = ctypes.c_uint64(), ctypes.c_uint64()
        with Memory(ranks) as text:
            if line := core.og_vocabulary_measure(
                text.address, text.size, ctypes.byref(block_size), ctypes.byref(scratch_size)
            ):
                raise ValueError(f"line {line} of the rank file is not a token in base64, a space and its rank")
            # The sizes are upper bounds; what is not touched takes no memory.
            block, scratch = private_memory(block_size.value), private_memory(scratch_size.value)
            what = ctypes.c_char_p()
            with Memory(block, writable=True) as out, Memory(scratch, writable=True) as room:
                size = core.og_vocabulary_build(
                    text.address, text.size, out.address, out.size, room.address, room.size, ctypes.byref(what)
                )
            scratch.close()
            if not size:
                raise ValueError(f"the rank file: {(what.value or b'').decode()}")
        return cls(memoryview(block)[:size])

    @property
    def address(self) -> int:
        """Where the block is mapped."""
        return int(self._memory.address or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one call did."""

    status: Status
    consumed: int  # bytes: where the next call begins
    tokens: int  # written by this call
    documents: int  # that ended in this call
    document: int  # encode_documents: the first that is not finished
    in_document: bool  # encode: a document has begun before `consumed` and has not ended
    error_at: int  # bytes, for BAD_UTF8 and TOO_LONG
    scratch_needed: int  # bytes, for TOO_LONG


def state_size(cache_bits: int) -> int:
    """Bytes of an encoder's state: 0.6 MiB for 12, and about twice as much for each bit more up to 18 MiB for 17.

    Raises: ValueError for bits that no state can have.
    """
    size = int(load_core().og_state_size(cache_bits))
    if not size:
        raise ValueError(f"cache_bits must be 8 to 24, not {cache_bits}")
    return size


class Encoder:
    """Encodes text for one thread; its state has a fixed size and is private memory."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        splitter: Splitter,
        *,
        token_bytes: int,
        cache_bits: int = 16,
        first_id: int = 0,
        tier: Tier | None = None,
    ) -> None:
        """Make the state; its size is state_size(cache_bits), 9 MiB by default.

        token_bytes: 2 or 4. first_id is added to each rank (Tekken: 1000).
        Raises: ValueError for arguments that do not fit together, such as 2 bytes for a vocabulary of more than 65,536.
        """
        self._core = load_core()
        self._vocabulary = vocabulary  # stays mapped
        self._state = private_memory(state_size(cache_bits), huge=True)
        self._memory = Memory(self._state, writable=True)
        self.token_bytes = token_bytes
        chosen = available_tiers()[-1] if tier is None else tier
        if self._core.og_state_init(
            self._memory.address,
            self._memory.size,
            vocabulary.address,
            cache_bits,
            token_bytes,
            splitter.family,
            splitter.switches,
            first_id,
            chosen,
        ):
            raise ValueError(f"no encoder with {token_bytes} bytes a token, first id {first_id} and tier {chosen.name}")

    def encode(
        self,
        text: Buffer,
        tokens: Buffer,
        *,
        start: int = 0,
        last: bool = True,
        delimiter: bytes = b"",
        in_document: bool = False,
        ends: Buffer | None = None,
        tokens_before: int = 0,
        end_of_text: int | None = None,
        scratch: Buffer | None = None,
    ) -> Progress:
        """Encode text[start:] into `tokens`; call again from `consumed` with more text, or more room.

        The documents are what is between delimiters, as in bytes.split, but a delimiter at the very end begins no
        other; with no delimiter the text is one. After each come `end_of_text`, if given, and its end in `ends`.

        text: uint8[n], the whole or a window; last: whether the text ends with it.
        tokens: uint16 or uint32[room]; needs SLACK_TOKENS more than the bytes of the longest word.
        ends: int64[room]: tokens_before + the tokens of this call up to the document's end, end_of_text included.
        in_document: that of the last call, if `start` is where it stopped.
        scratch: uint8[SCRATCH_PER_BYTE * longest word]; only words beyond 64 bytes need it.
        """
        job = _Job(
            consumed=start,
            last=last,
            in_document=in_document,
            tokens_before=tokens_before,
            end_of_text=-1 if end_of_text is None else end_of_text,
        )
        with Memory(delimiter) as between:
            job.delimiter, job.delimiter_size = between.address, between.size
            return self._call(self._core.og_encode, job, text, tokens, ends, scratch)

    def encode_documents(
        self,
        text: Buffer,
        offsets: Buffer,
        tokens: Buffer,
        *,
        offset_bytes: int = 4,
        document: int = 0,
        start: int = 0,
        ends: Buffer | None = None,
        tokens_before: int = 0,
        end_of_text: int | None = None,
        scratch: Buffer | None = None,
    ) -> Progress:
        """Encode an array of strings as Arrow has it, each document on its own.

        text: uint8[n], Arrow's data buffer. offsets: int32 or int64[documents + 1] into it (`offset_bytes` 4 or 8).
        document, start: those of the last call's `document` and `consumed`; 0 and 0 begin.
        The rest is as for `encode`.
        """
        job = _Job(
            consumed=start,
            document=document,
            offset_size=offset_bytes,
            tokens_before=tokens_before,
            end_of_text=-1 if end_of_text is None else end_of_text,
        )
        with Memory(offsets) as places:
            job.offsets, job.document_count = places.address, places.size // offset_bytes - 1
            return self._call(self._core.og_encode_documents, job, text, tokens, ends, scratch)

    def encode_whole(self, text: bytes) -> array[int]:
        """Encode one document that is all in memory.

        Raises: UnicodeDecodeError as bytes.decode does.
        """
        tokens = array("H" if self.token_bytes == 2 else "I", bytes((len(text) + SLACK_TOKENS) * self.token_bytes))
        progress = self.encode(text, tokens, scratch=bytearray(SCRATCH_PER_BYTE * len(text)))
        if progress.status is Status.BAD_UTF8:
            raise UnicodeDecodeError("utf-8", text, progress.error_at, progress.error_at + 1, "ill-formed sequence")
        assert progress.status is Status.DONE, progress
        del tokens[progress.tokens :]
        return tokens

    def _call(
        self,
        function: Any,
        job: _Job,
        text: Buffer,
        tokens: Buffer,
        ends: Buffer | None,
        scratch: Buffer | None,
    ) -> Progress:
        with (
            Memory(text) as data,
            Memory(tokens, writable=True) as out,
            Memory(ends, writable=True) as places,
            Memory(scratch, writable=True) as room,
        ):
            job.text, job.text_size = data.address, data.size
            job.tokens, job.token_room = out.address, out.size // self.token_bytes
            job.ends, job.end_room = places.address, places.size // 8
            job.scratch, job.scratch_size = room.address, room.size
            status = Status(function(self._memory.address, ctypes.byref(job)))
        if status is Status.BAD_CALL:
            raise ValueError(
                "the arguments contradict each other: places beyond the text, or ids beyond the token's size"
            )
        return Progress(
            status=status,
            consumed=job.consumed,
            tokens=job.token_count,
            documents=job.end_count,
            document=job.document,
            in_document=bool(job.in_document),
            error_at=job.error_at,
            scratch_needed=job.scratch_needed,
        )
