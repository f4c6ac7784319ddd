"""The bytes before the tokens in each shard format.

Source: nanoGPT train.py get_batch (no header), numpy.lib.format 1.0 as written by build-nanogpt's fineweb.py, and
llm.c dev/data/data_common.py write_datafile: 256 int32 of which the first three are magic, version, token count.
"""

from __future__ import annotations

import io
import struct
from typing import Literal

ShardFormat = Literal["nanogpt", "npy", "llmc"]

_LLMC_MAGIC = 20240520
_LLMC_VERSION = 1
_LLMC_HEADER_BYTES = 256 * 4

SUFFIXES: dict[ShardFormat, str] = {"nanogpt": ".bin", "npy": ".npy", "llmc": ".bin"}


def shard_header(shard_format: ShardFormat, *, tokens: int, token_bytes: int) -> bytes:
    """Give the header of a shard of `tokens` tokens of 2 (uint16) or 4 (uint32) bytes, little-endian.

    Raises: ValueError if llm.c's gpt-2 format, which holds uint16 only, is asked for wider tokens.
    """
    if shard_format == "nanogpt":
        return b""
    if shard_format == "llmc":
        if token_bytes != 2:
            raise ValueError(f"llm.c's gpt-2 format holds tokens of 2 bytes, not {token_bytes}")
        return struct.pack("<3i", _LLMC_MAGIC, _LLMC_VERSION, tokens).ljust(_LLMC_HEADER_BYTES, b"\0")
    from numpy.lib.format import write_array_header_1_0

    header = io.BytesIO()
    array = {"descr": f"<u{token_bytes}", "fortran_order": False, "shape": (tokens,)}
    write_array_header_1_0(header, array)
    return header.getvalue()
