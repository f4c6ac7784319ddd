"""Headers byte for byte as the anchors write them."""

import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS


def shard_header(name: str, *, tokens: int, token_bytes: int) -> bytes:
    return FORMATS[name].header(Layout(name="x", token_bytes=token_bytes), tokens)


def test_nanogpt_has_none() -> None:
    assert shard_header("nanogpt", tokens=5, token_bytes=2) == b""


@given(tokens=st.integers(0, 2**31 - 1), token_bytes=st.sampled_from([2, 4]))
def test_npy_is_what_numpy_writes(tokens: int, token_bytes: int) -> None:
    """128 bytes for every count, so that the real one can take the place of the planned one."""
    header = shard_header("npy", tokens=tokens, token_bytes=token_bytes)
    assert len(header) == 128
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(io.BytesIO(header[8:]))
    assert (shape, fortran, dtype) == ((tokens,), False, np.dtype(f"<u{token_bytes}"))


@given(tokens=st.integers(0, 300), token_bytes=st.sampled_from([2, 4]))
def test_npy_with_its_tokens_is_what_np_save_writes(tokens: int, token_bytes: int) -> None:
    array = np.arange(tokens, dtype=f"<u{token_bytes}")
    saved = io.BytesIO()
    np.save(saved, array)
    assert shard_header("npy", tokens=tokens, token_bytes=token_bytes) + array.tobytes() == saved.getvalue()


@given(tokens=st.integers(0, 2**31 - 1))
def test_llmc_is_what_write_datafile_writes(tokens: int) -> None:
    """Source: llm.c dev/data/data_common.py: 256 int32, of which three are set."""
    header = np.zeros(256, dtype="<i4")
    header[0], header[1], header[2] = 20240520, 1, tokens
    assert shard_header("llmc", tokens=tokens, token_bytes=2) == header.tobytes()


@given(tokens=st.integers(0, 2**31 - 1))
def test_llmc_of_four_bytes_is_what_write_datafile_writes_for_llama_3(tokens: int) -> None:
    header = np.zeros(256, dtype="<i4")
    header[0], header[1], header[2] = 20240801, 7, tokens
    assert shard_header("llmc", tokens=tokens, token_bytes=4) == header.tobytes()
