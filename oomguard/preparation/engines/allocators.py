"""Makes the allocators of the helper processes give back what they do not use."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from oomguard.units import MIB

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3), glibc
_USUALLY = 8 * MIB  # with less, each page of Parquet faults its memory in anew: a fifth of the time
_kept = [_USUALLY]  # what malloc keeps of what was freed; larger blocks are mapped
# Blocks of such pages of Parquet, each a little longer or shorter than the one before, leave holes in malloc's heap of
# 10 MiB and more; to give these back takes 5 % of the time, and half of it with pages of 3 MiB, which leave less.
_LARGE_PAGE = 4 * MIB
_WITHOUT_NUMPY = 18  # pyarrow's first version that does without it

_is_helper: list[bool] = []


def in_helper() -> None:
    """Settle those of a helper process, in which nobody else's code runs."""
    _is_helper.append(True)
    settle_allocators()


def settle_allocators() -> None:
    """Let Arrow allocate through malloc, and malloc map large blocks on their own. Call before pyarrow is imported.

    Measured, anonymous memory at the peak and after it: a parquet document of 40 MB, 118 MB then 27, against 160 then
    160 with Arrow's default; small documents 45 MB against 90. pa.set_memory_pool() would come too late: parquet's
    decompression takes the C++ default. Without a fixed threshold glibc trims at twice the largest block it has seen.
    """
    os.environ["ARROW_DEFAULT_MEMORY_POOL"] = "system"
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # which would be lost in a fork, and warned of
    with suppress(OSError, AttributeError):  # another C library: its own ways are as good
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _kept[0])
        libc.mallopt(_M_TRIM_THRESHOLD, _kept[0])


def keep_freed(size: int) -> None:
    """Let malloc keep more of what was freed: at most 32 MiB, beyond which glibc takes no notice."""
    _kept[0] = size
    settle_allocators()


def import_arrow() -> None:
    """Import pyarrow, which allocates as `settle_allocators` says; in a helper process without NumPy.

    pyarrow imports NumPy only to give its arrays: 6 MiB and 0.1 s of CPU time for each worker. From version 18 on it
    does without where NumPy is not installed, and so it is while pyarrow is imported here. Who needs NumPy beside it
    imports it as usual; the methods of pyarrow's that would give an array of NumPy's raise ImportError.
    """
    settle_allocators()
    is_there = "numpy" in sys.modules or "pyarrow" in sys.modules
    if is_there or not _is_helper or _arrow_version() < _WITHOUT_NUMPY:
        import_module("pyarrow")
        return
    sys.modules["numpy"] = None  # type: ignore[assignment]  # to import it raises ModuleNotFoundError
    try:
        import_module("pyarrow")
    finally:
        del sys.modules["numpy"]


def _arrow_version() -> int:
    """The first number of pyarrow's version, by the name of the folder beside it: importlib.metadata takes 15 ms."""
    found = find_spec("pyarrow")
    for place in (found.submodule_search_locations or ()) if found else ():
        for entry in Path(place).parent.glob("pyarrow-*.dist-info"):
            if match := re.match(r"pyarrow-([0-9]+)\.", entry.name):
                return int(match[1])
    return 0  # installed in another way


def give_back() -> None:
    """Give the system what was freed: malloc keeps it where later blocks lie behind it."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def give_back_after(page: int) -> None:
    """Give back what the blocks of a page of Parquet leave, if it has so many bytes and no more may be kept."""
    if page >= _LARGE_PAGE and _kept[0] <= _USUALLY:
        give_back()
