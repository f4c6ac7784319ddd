"""Everything about a run that is settled before it starts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, BudgetTooSmall, Changed, OomguardError, WorkerFailed
from oomguard.kernel.machine import usable_cpus
from oomguard.kernel.plain_files import open_regular
from oomguard.preparation.engines.line_feed import LineFeed, RowFeed
from oomguard.preparation.engines.memory_sum import SCRATCH, BudgetPlan, Needs, budget_with_room, flag_for
from oomguard.preparation.engines.messages import ReaderConfig, WorkerConfig
from oomguard.preparation.engines.work import CutRules, PlainFeed
from oomguard.records import dataclass
from oomguard.text import printable, shell_word
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Feed, Work
    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.token_sink import Split


# Of the usual size, in a page that is not divided: for what is left of one, it is decoded again from its beginning.
_MOST_CHUNKS = 16
_HEAD_BYTES = 4096  # an error this near to the beginning is in the first stretch
# What files begin with that were taken for text; those with a longer one first.
_NO_TEXT = {
    b"\xff\xfe\0\0": ("UTF-32", "--input-encoding utf-32"),
    b"\0\0\xfe\xff": ("UTF-32", "--input-encoding utf-32"),
    b"\xff\xfe": ("UTF-16", "--input-encoding utf-16"),
    b"\xfe\xff": ("UTF-16", "--input-encoding utf-16"),
    b"\x1f\x8b": ("gzip", "rename the file to .txt.gz or .jsonl.gz, or zcat FILE | oomguard prepare -"),
    b"\x28\xb5\x2f\xfd": ("zstd", "rename the file to .txt.zst or .jsonl.zst, or zstdcat FILE | oomguard prepare -"),
    b"BZh": ("bzip2", "rename the file to .txt.bz2 or .jsonl.bz2, or bzcat FILE | oomguard prepare -"),
    b"\xfd7zX": ("xz", "rename the file to .txt.xz or .jsonl.xz, or xzcat FILE | oomguard prepare -"),
    b"PAR1": ("Parquet", "rename the file to .parquet; it cannot come through a pipe"),
}


_PROBLEMS = {
    "separator": (
        "leaving out bytes that are not UTF-8, here or soon after, would create a separator",
        "--errors replace (puts U+FFFD in its place)",
    ),
    "engine": (
        "tiktoken cannot encode this text (a very long run of white space), but the native core can",
        "install oomguard where its native core can be built",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Input, options and budget of one run."""

    sources: Sequence[Source]
    options: PrepareOptions
    resolved: ResolvedOptions
    budget: BudgetPlan
    rank_file: Path  # the tokenizer's file, by the path of `rank_fd`
    rank_fd: int
    needs: Needs  # what decides how much memory it takes
    vocabulary_fd: int = -1
    notes: tuple[str, ...] = ()  # what the user should know, for people
    expectations: tuple[str, ...] = ()  # those of them that are guesses; at the end it is known
    text_files: int | None = None  # of the whole corpus, where `sources` is a unit of it
    _share_of_each_text: Fraction = field(init=False, repr=False)  # counted once: there may be a million files

    def __post_init__(self) -> None:
        """Count the text files."""
        share = share_of_each_text(self.sources, self.resolved, texts=self.text_files)
        object.__setattr__(self, "_share_of_each_text", share)

    @property
    def by_document(self) -> bool:
        """Whether the documents' numbers decide which split they belong to."""
        return self.resolved.val_fraction not in (None, "0")

    @property
    def with_ends(self) -> bool:
        """Whether encoders must say where documents end."""
        output, options = self.resolved.output, self.options
        asked = self.by_document or options.provenance or options.shuffle is not None
        return asked or output.writes_documents(self.resolved.layout)

    def is_cut(self, index: int) -> bool:
        """Whether workers read a source themselves, each a range of it; else it comes from the stream reader."""
        return self.sources[index].is_cut

    def feed(self, index: int, position: dict[str, Any], ask: Callable[[dict[str, Any]], None]) -> Feed:
        """Begin to cut a source, from a position on.

        Raises: BadInput if it cannot be read.
        """
        source, budget, resume = self.sources[index], self.budget, position.get("resume") or {}
        if resume.get("inside"):
            raise Changed(
                f"{printable(source.path)}: the run was begun by oomguard 0.1, and stopped within a document",
                do="finish it with that version, or --restart to make the shards again",
            )
        if source.kind == "text":
            return self.plain_feed(index, offset=position.get("offset", source.begin))
        if source.kind == "jsonl":
            return LineFeed(
                index=index,
                source=source,
                chunk=budget.piece_bytes,
                longest=budget.largest_document,
                offset=resume.get("offset", source.begin),
                once=self.reads_once,
            )
        return RowFeed(
            index=index,
            source=source,
            ask=ask,
            chunk=budget.piece_bytes,
            share=budget.page,
            group=resume.get("row_group", source.begin),
            row=resume.get("row", 0),
        )

    def columns_to_check(self, start: int) -> list[dict[str, Any]]:
        """The files, from number `start` on, of which a worker has to say at the start whether they have the column."""
        if self.options.bad_files == "skip":
            return []
        return [
            {"path": source.path, "kind": source.kind, "field": source.text_field}
            for source in self.sources[start:]
            if source.kind in ("parquet", "arrow") and not source.is_remote
        ]

    def stream_split(self, source: Source) -> Split | None:
        """The split of a stream's pieces: one undivided text of unknown length is for training."""
        undivided = source.kind == "text" and not self.resolved.separator  # a file in an archive is a document
        return "train" if self.by_document and undivided and not source.divisible_text else None

    def plain_feed(self, index: int, *, offset: int) -> PlainFeed:
        """Begin to cut a plain text file.

        Raises: BadInput if it cannot be read.
        """
        spec = self.resolved.spec
        rules = CutRules(
            family=spec.family,
            separator=self.resolved.separator,
            universal_newlines=self.options.newlines == "universal",
            piece_bytes=self.budget.piece_bytes,
            longest_word=self.budget.longest_word,
            flag_with_room=self.flag_with_room,
            once=self.reads_once,
        )
        feed = PlainFeed(index=index, source=self.sources[index], rules=rules, offset=offset)
        if self._share_of_each_text:
            feed.set_val_fraction(self._share_of_each_text)
        return feed

    @property
    def ends_are_val(self) -> bool:
        """Whether the end of each text is for validation, and not whole ones."""
        return bool(self._share_of_each_text) and any(source.divisible_text for source in self.sources)

    def shared_descriptors(self, slots: Slots) -> tuple[int, ...]:
        """What workers inherit."""
        return tuple(fd for fd in (slots.fd, self.rank_fd, self.vocabulary_fd) if fd >= 0)

    def worker_config(self, slots: Slots, *, verify: bool) -> WorkerConfig:
        """What a worker is told; of a sample, one that verifies is enough."""
        return WorkerConfig(
            spec=asdict(self.resolved.spec),
            rank_file=str(self.rank_file),
            eot=self.resolved.eot,
            newlines=self.options.newlines,
            errors=self.options.errors,
            with_ends=self.with_ends,
            with_origins=self.options.provenance,
            verify=self.options.verify if verify else "off",
            cache_bits=self.budget.cache_bits,
            vocabulary_fd=self.vocabulary_fd,
            scratch=SCRATCH,
            longest_piece=slots.layout.longest_piece,
            most_text=min(slots.layout.longest_piece, _MOST_CHUNKS * self.budget.piece_bytes),
            slots=slots.layout.slots,
            slots_fd=slots.fd,
            loose=self.budget.loose,
            to_the_fault=self.options.bad_files == "skip",
            read_once=self.reads_once,
        )

    @property
    def reads_once(self) -> bool:
        """Whether the page cache within the budget is too small to keep the inputs for another run."""
        return self.needs.chunks * MIB > self.budget.budget

    def flag_with_room(self, alone: int) -> str:
        """The flag with which a chunk may take so many bytes while it is alone."""
        budget = budget_with_room(
            alone,
            needs=self.needs,
            workers=self.options.workers,
            cpus=min(usable_cpus(), self.needs.chunks),
            at_least=self.budget.budget,
        )
        return flag_for(budget, needs=self.needs)

    def reader_config(self, slots: Slots) -> ReaderConfig:
        """What the reader is told."""
        return ReaderConfig(
            errors=self.options.errors,
            separator=self.resolved.separator.decode("latin-1"),
            universal_newlines=self.options.newlines == "universal",
            family=self.resolved.spec.family,
            piece_bytes=min(self.budget.piece_bytes, MIB),
            longest_piece=self.budget.longest_piece,
            largest_document=self.budget.largest_document,
            token_bytes=self.resolved.spec.token_bytes,
            slots=slots.layout.slots,
            slots_fd=slots.fd,
            val_share=str(self._share_of_each_text),
            with_origins=self.options.provenance,
            to_the_fault=self.options.bad_files == "skip",
            stdin=any(source.path == "-" for source in self.sources),
        )

    def text_error(self, work: Work, encoded: Encoded, *, documents: int | None, line: int) -> OomguardError:
        """What a worker found wrong with a text."""
        where = work.where(encoded.error_at, None if documents is None else documents + encoded.error_documents, line)
        file = shell_word(self.sources[work.source].path)
        if encoded.error == "input":
            do = self.sources[work.source].line_for(encoded.error_do)
            if self.sources[work.source].kind == "tar" and "--input-format" in do:  # which is of the whole input
                do = f"tar -xf {file}, and name the extracted files"
            return BadInput(f"{where}: {encoded.error_text}", do=do)
        if encoded.error == "utf8":
            return self._not_utf8(work, encoded, where)
        if encoded.error == "not text":
            what, do = (
                f"{where}: full of zero bytes, as an interrupted download leaves them, not text",
                "download the file again; if the zeros are meant: "
                + self.sources[work.source].line_for("tr -d '\\0' < FILE | oomguard prepare -"),
            )
            if encoded.error_text == "tar":
                what, do = f"{where}: a tar archive, not plain text", "--input-format tar"
            elif encoded.error_text != "zeros":
                what, do = (
                    f"{where}: not UTF-8: it looks like {encoded.error_text}",
                    (f"--input-encoding {encoded.error_text}"),
                )
            return BadInput(what, do=do)
        if encoded.error == "differs":
            return WorkerFailed(
                f"{where}: the core and {self.resolved.spec.reference} do not agree: {encoded.error_text}",
                do="please report it with the text from there; OOMGUARD_ENGINE=tiktoken does without the core",
            )
        what, do = _PROBLEMS.get(
            encoded.error or "", (encoded.error_text, "check the file, then run the same command again")
        )
        return BadInput(f"{where}: {what}", do=do)

    def _not_utf8(self, work: Work, encoded: Encoded, where: str) -> BadInput:
        source = self.sources[work.source]
        if work.task.kind == "text" and work.task.starts_document and encoded.error_at < _HEAD_BYTES:
            if inside := _no_text_inside(source):
                return inside
            start = bytes.fromhex(encoded.error_text)
            magics = _NO_TEXT.items() if encoded.error_at == 0 else ()  # further on, these are only wrong bytes
            known = next((words for magic, words in magics if start.startswith(magic)), None)
            if known := known or _no_reader(source):
                do = known[1].replace("FILE", shell_word(source.path))
                return BadInput(f"{where}: this is {known[0]}, not plain UTF-8 text", do=do)
        return BadInput(
            f"{where}: not UTF-8",
            do="--input-encoding NAME if it is written in another encoding (latin-1, gbk, ...); --errors replace "
            "(puts U+FFFD in its place) or --errors skip (leaves it out); both resume from here",
        )

    def room_error(self, work: Work, *, documents: int | None, line: int) -> OomguardError:
        """A chunk takes more memory than there is, even when it is alone."""
        where, size = work.where(0, documents, line), format_size(work.task.size)
        what = f"a document of {size}"
        if work.is_word or work.task.kind == "text":
            what = f"a word within {size} of text, which cannot be cut without changing tokens,"
        elif work.task.kind == "rows":
            what = f"the page from there on, with {size} of text,"
        return BudgetTooSmall(
            f"{where}: {what} needs {format_size(work.needs)} of memory at once, and {format_size(self.budget.alone)} "
            "is free",
            do=f"{self.flag_with_room(work.needs)}, or look at the file: such text is rarely meant to be there",
        )


def share_of_each_text(sources: Sequence[Source], resolved: ResolvedOptions, *, texts: int | None = None) -> Fraction:
    """How much of the end of each text file is for validation; 0 where whole documents are chosen, or none.

    `texts`: how many there are in the whole corpus, where `sources` is a unit of it.
    """
    fraction = Fraction(resolved.val_fraction or 0)
    if texts is None:
        texts = sum(source.divisible_text for source in sources)
    return Fraction(0) if resolved.separator or texts * fraction >= 1 else fraction


def _no_text_inside(source: Source) -> BadInput | None:
    """What is wrong with a compressed file whose content is known to be no text."""
    from oomguard.preparation.reading.recognising import recognise

    if source.compression is None or source.is_remote or source.path == "-":
        return None
    try:
        recognise(Path(source.path), source.compression)
    except BadInput as error:
        return error
    return None


def _no_reader(source: Source) -> tuple[str, str] | None:
    """What a plain file is by its first bytes, and the way that works, if that is known."""
    from oomguard.preparation.reading.recognising import NO_READER  # an error has the time

    if source.compression or source.is_remote or source.path == "-":
        return None
    with suppress(OSError), open_regular(source.path) as file:
        start = file.read(_HEAD_BYTES)
        return next((words for magic, words in NO_READER.items() if start.startswith(magic)), None)
    return None
