"""What a person may ask of `prepare`, and the same with every default filled in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.preparation.encoding.encodings import USUAL_ENCODING
from oomguard.records import dataclass

if TYPE_CHECKING:
    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.engines.messages import BadFiles, EotPlace, ErrorPolicy, Newlines, Verify
    from oomguard.preparation.reading.kinds import InputFormat
    from oomguard.preparation.reading.wanted import Wanted
    from oomguard.preparation.writing.formats.base import Layout, OutputFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareOptions:
    """All options of `oomguard prepare`; the defaults are the command's."""

    inputs: tuple[str, ...] = ()
    out: Path = Path("tokens")
    format: str = "nanogpt"
    encoding: str = USUAL_ENCODING
    tokenizer: str | None = None  # a tokenizer's file, or its name on the Hub, in place of `encoding`
    pattern: str | None = None  # how text is split, for a rank file that is not known
    eot_token: str | None = None  # the name or id of end-of-text; None: the tokenizer's
    workers: int | None = None  # None: one a CPU, as far as the budget allows
    shard_tokens: int | None = None  # None: as the format's anchor
    block_size: int | None = None  # None: as the format has it
    val_fraction: str | None = None  # None: as the format's anchor
    name: str | None = None  # of the shards; None: as the format's anchor
    separator: str = ""
    text_field: str | tuple[str, ...] | None = None  # a field, and GLOB=FIELD for some of the inputs; None: "text"
    input_encoding: str | None = None  # of characters; None: UTF-8
    cache: str | None = None  # a folder that keeps files of servers
    subset: str | None = None  # of a dataset on the Hub, as its card names it: NAME or NAME:SPLIT
    input_format: InputFormat = "auto"  # what all inputs are; auto: by names, else by first bytes
    eot: EotPlace | None = None  # None: as the format's anchor
    errors: ErrorPolicy = "strict"
    bad_files: BadFiles = "stop"
    newlines: Newlines = "bytes"
    verify: Verify = "sample"
    restart: bool = False
    extend: bool = False  # inputs are added to a finished run
    provenance: bool = False  # of each document: its source and its place there, in provenance-N.parquet
    last_shard: str = "keep"  # fold: one that is not full joins the one before it
    shuffle: int | None = None  # the seed of the order of documents; None: as the input has them

    def __post_init__(self) -> None:
        """Take what a caller of the library means: one input, a folder's name, a fraction as a number."""
        if isinstance(self.inputs, str):
            object.__setattr__(self, "inputs", (self.inputs,))
        object.__setattr__(self, "out", Path(self.out))
        if isinstance(self.text_field, list):
            object.__setattr__(self, "text_field", tuple(self.text_field))
        if self.val_fraction is not None:
            object.__setattr__(self, "val_fraction", str(self.val_fraction))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedOptions:
    """The same with every default filled in; what the shards' bytes depend on is in `identity`."""

    spec: EncodingSpec
    asked_encoding: str
    output: OutputFormat
    layout: Layout
    val_fraction: str | None  # None: shard 0 is for validation; "0": nothing is
    val_asked: bool
    eot: EotPlace
    separator: bytes
    wanted: Wanted  # of the inputs

    @property
    def shard_tokens(self) -> int | None:
        """Tokens of a full shard; None: one file a split."""
        return self.layout.shard_tokens

    @property
    def name(self) -> str:
        """What the shards' names begin with."""
        return self.layout.name

    @property
    def encoding_name(self) -> str:
        """What people call the tokenizer: the name or the file that they gave."""
        return self.spec.name if self.spec.file is not None else self.asked_encoding

    @property
    def text_field(self) -> str:
        """The field or column with the text."""
        return self.wanted.text_field
