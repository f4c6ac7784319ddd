"""The table of output formats: to add one, write its module and name it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.preparation.writing.formats.arrow import Arrow
from oomguard.preparation.writing.formats.datatrove import Datatrove
from oomguard.preparation.writing.formats.litdata import Litdata
from oomguard.preparation.writing.formats.llmc import Llmc
from oomguard.preparation.writing.formats.mds import Mds
from oomguard.preparation.writing.formats.megatron import Megatron
from oomguard.preparation.writing.formats.nanogpt import NanoGpt
from oomguard.preparation.writing.formats.npy import Npy
from oomguard.preparation.writing.formats.olmo import Olmo

if TYPE_CHECKING:
    from oomguard.preparation.writing.formats.base import OutputFormat

_ALL: tuple[OutputFormat, ...] = (
    NanoGpt(), Npy(), Llmc(), Megatron(), Datatrove(), Olmo(), Arrow(), Litdata(), Mds(),
)  # fmt: skip
FORMATS: dict[str, OutputFormat] = {each.name: each for each in _ALL}


def format_help() -> str:
    """One line on each format, for --help."""
    return "; ".join(f"{each.name}: {each.help}" for each in _ALL) + "."


def is_owned(name: str) -> bool:
    """Whether a file of this name, in an output folder, can be one that a run makes."""
    return any(each.owned.fullmatch(name) for each in _ALL)
