"""What the usual ways to do the same job would need, on which machine they would run, and with how much swap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.script_analysis.analysis import analyze_source
from oomguard.units import GIB, MIB

if TYPE_CHECKING:
    from oomguard.preparation.reading.text_shape import TextShape

_PROGRAM = 90 * MIB  # the interpreter with numpy and tiktoken
_OF_RAM = 0.94  # what a machine of this size has left for a job: firmware, kernel and system take the rest
_SWAP_SPARE = 1.1
# Sizes that are sold, and AWS's memory-optimized class that has them (8 GiB a vCPU, as Google's n2-highmem and Azure's
# E series have). Source: the providers' lists of 2025.
_MACHINES = (
    (8, "m7i.large"), (16, "r7i.large"), (32, "r7i.xlarge"), (64, "r7i.2xlarge"), (128, "r7i.4xlarge"),
    (256, "r7i.8xlarge"), (384, "r7i.12xlarge"), (512, "r7i.16xlarge"), (768, "r7i.24xlarge"), (1536, "r7i.48xlarge"),
    (4096, "x2iedn.32xlarge"), (6144, "u7i-6tb"), (12288, "u7i-12tb"),
)  # fmt: skip

_READ_WHOLE = """
text = open("train.txt", encoding="utf-8").read()
ids = enc.encode_ordinary(text)
np.array(ids, dtype=np.uint16).tofile("train.bin")
"""
_ONE_LIST = """
ids = []
for piece in iter(lambda: f.read(1 << 20), ""):
    ids.extend(enc.encode_ordinary(piece))
np.array(ids, dtype=np.uint16).tofile("train.bin")
"""
_LINES = """
lines = open("train.txt", encoding="utf-8").readlines()
ids = [enc.encode_ordinary(line) for line in lines]
"""
_TENSOR = """
text = open("train.txt", encoding="utf-8").read()
ids = torch.tensor(enc.encode_ordinary(text), dtype=torch.long)
"""
_HEADER = (
    'import numpy as np\nimport tiktoken\nimport torch\nenc = tiktoken.get_encoding("gpt2")\nf = open("train.txt")\n'
)
_WAYS = {
    "read whole, one list": _READ_WHOLE,
    "in chunks, one list": _ONE_LIST,
    "readlines, a list for each line": _LINES,
    "read whole, one tensor": _TENSOR,
}
_GIGATOKEN = 2.0  # bytes for each byte of text: 1.9 GiB for 1 GB (benchmarks/record), a uint32 array and its copy


@dataclass(frozen=True, slots=True, kw_only=True)
class NaiveWay:
    """One usual way, on this input. Units: bytes."""

    name: str
    needs: int
    fits: bool
    dies_at: int | None  # of the text; None: it fits
    machine_gib: int | None  # the least that is sold with enough memory; None: none is
    machine: str
    swap: int  # that would be needed here


def naive_ways(shape: TextShape, *, text_bytes: int, available: int) -> list[NaiveWay]:
    """Say of each usual way what it would need at once for `text_bytes` of such text."""
    ratios = {name: analyze_source((_HEADER + code).encode(), shape).peak for name, code in _WAYS.items()}
    ratios["gigatoken, all files at once"] = _GIGATOKEN
    return [_way(name, ratio, text_bytes=text_bytes, available=available) for name, ratio in ratios.items()]


def _way(name: str, ratio: float, *, text_bytes: int, available: int) -> NaiveWay:
    needs = int(ratio * text_bytes) + _PROGRAM
    fits = needs <= available
    gib, machine = machine_with(needs)
    return NaiveWay(
        name=name,
        needs=needs,
        fits=fits,
        dies_at=None if fits else max(0, int((available - _PROGRAM) / ratio)),
        machine_gib=gib,
        machine=machine,
        swap=0 if fits else int(_SWAP_SPARE * needs) - available,
    )


def machine_with(needs: int) -> tuple[int | None, str]:
    """Give the smallest usual size of memory, in GiB, that has room for a job, and a cloud machine that has it."""
    for gib, machine in _MACHINES:
        if needs <= gib * GIB * _OF_RAM:
            return gib, machine
    return None, "no common machine"
