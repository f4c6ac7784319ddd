"""The table of output formats. To add one, write its module in this folder: it is found here."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.preparation.writing.formats.base import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS = {"base", "layout_options", "stored", "table"}  # what formats are made of
_FIRST = ("nanogpt", "npy", "llmc", "megatron", "datatrove", "olmo", "arrow", "litdata", "mds")  # as --help lists them


def _modules() -> list[str]:
    there = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])} - _PARTS
    return [*_FIRST, *sorted(there - {*_FIRST})]


def _formats_of(module: str) -> Iterator[OutputFormat]:
    loaded = import_module(f"{__name__.rpartition('.')[0]}.{module}")
    for value in vars(loaded).values():
        if isinstance(value, type) and value.__module__ == loaded.__name__ and OutputFormat in value.__mro__[1:]:
            yield value()


_PROVENANCE = re.compile(r"provenance-[0-9]{5,}\.parquet")  # of any format
_ALL = tuple(output for module in _modules() for output in _formats_of(module))
FORMATS: dict[str, OutputFormat] = {each.name: each for each in _ALL}


def format_help() -> str:
    """One line on each format, for --help."""
    return "; ".join(f"{each.name}: {each.help}" for each in _ALL) + "."


def is_owned(name: str) -> bool:
    """Whether a file of this name, in an output folder, can be one that a run makes."""
    return _PROVENANCE.fullmatch(name) is not None or any(each.owned.fullmatch(name) for each in _ALL)
