"""The input formats: how each is called and known, and who reads it.

To add one, write NAME_format.py in this folder, with its KIND and its reader: it is found here.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["text", "jsonl", "parquet", "json", "csv", "tsv", "arrow", "tar", "warc"]
Compression = Literal["gz", "zst", "xz", "bz2"]
InputFormat = Literal["auto", "text", "jsonl", "parquet", "json", "csv", "tsv", "arrow", "tar", "warc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputKind:
    """One input format."""

    words: str  # for people
    extensions: tuple[str, ...]  # below the one of a compression
    memory: Literal["text", "lines", "rows"]  # what a worker takes for it: memory_sum
    reader: str  # "module:function" below this package, of the stream reader
    is_cut: bool = False  # workers read ranges of a plain file themselves
    is_characters: bool = False  # --input-encoding can say how it is written
    has_fields: bool = True  # --text-field says where the text is
    seeks: bool = False  # it is read by seeking in it: neither compressed nor through a pipe


KINDS: dict[Kind, InputKind] = {
    "text": InputKind(
        words="text", extensions=(".txt", ".text"), memory="text", reader="text_stream:iter_text", is_cut=True,
        is_characters=True, has_fields=False,
    ),
    "jsonl": InputKind(
        words="JSON Lines", extensions=(".jsonl", ".ndjson"), memory="lines", reader="line_stream:iter_lines",
        is_cut=True, is_characters=True,
    ),
    "parquet": InputKind(
        words="Parquet", extensions=(".parquet",), memory="rows", reader="parquet_stream:iter_parquet",
        is_cut=True, seeks=True,
    ),
    "json": InputKind(
        words="JSON values one after another or in an array", extensions=(), memory="lines",
        reader="json_values:iter_values", is_characters=True,
    ),
    "csv": InputKind(
        words="CSV", extensions=(".csv",), memory="lines", reader="csv_records:iter_csv", is_characters=True,
    ),
    "tsv": InputKind(
        words="TSV", extensions=(".tsv",), memory="lines", reader="csv_records:iter_csv", is_characters=True,
    ),
    "arrow": InputKind(
        words="Arrow", extensions=(".arrow", ".feather", ".arrows", ".ipc"), memory="lines",
        reader="arrow_batches:iter_arrow", seeks=True,
    ),
    "tar": InputKind(
        words="a tar archive", extensions=(".tar", ".tgz"), memory="lines", reader="tar_members:iter_tar",
    ),
    "warc": InputKind(
        words="WARC", extensions=(".wet", ".warc"), memory="lines", reader="warc_records:iter_warc", has_fields=False,
    ),
}  # fmt: skip


def _added() -> Iterator[tuple[Any, InputKind]]:
    """What is a file of its own; none is loaded but these, as reading takes its time to import."""
    for file in sorted(Path(__file__).parent.glob("*_format.py")):
        module = import_module(f"{__name__.rpartition('.')[0]}.{file.stem}")
        yield file.stem.removesuffix("_format"), module.KIND


KINDS.update(_added())
BY_EXTENSION: dict[str, Kind] = {extension: kind for kind, of in KINDS.items() for extension in of.extensions}
COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".zst": "zst", ".xz": "xz", ".bz2": "bz2"}
FORMATS = cast("tuple[InputFormat, ...]", tuple(dict.fromkeys((*get_args(InputFormat), *KINDS))))
KNOWN = f"{' '.join(BY_EXTENSION)} .json (also .gz .zst .xz .bz2 of these, except of parquet and arrow)"


def split_name(name: str) -> tuple[str, Compression | None]:
    """Give the extension below the compression, in small letters, and the compression."""
    stem, extension = _split_extension(name.lower())
    compression = COMPRESSIONS.get(extension)
    return (_split_extension(stem)[1] if compression else extension), compression


def _split_extension(name: str) -> tuple[str, str]:
    """Give a file's stem and suffix, as pathlib does, in a tenth of the time."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def kind_of(name: str) -> Kind | None:
    """Give what a file is by its name; None: the name does not say, or nothing is read that is compressed so."""
    extension, compression = split_name(name)
    kind = BY_EXTENSION.get(extension)
    return None if kind is not None and KINDS[kind].seeks and compression else kind


def ending(name: str) -> str:
    """Give the extension as a list of them names it: ".csv", ".tar.gz"."""
    extension, _ = split_name(name)
    return "".join(dict.fromkeys((extension, Path(name.lower()).suffix))) or "without an extension"
