"""Everything about a run that is settled before it starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, BudgetTooSmall, OomguardError, WorkerFailed
from oomguard.preparation.engines.memory_budget import BudgetPlan, budget_for_word, forked_bytes, nursery_bytes
from oomguard.preparation.engines.messages import EncoderConfig, ReaderConfig
from oomguard.preparation.engines.work import CutRules, PlainFeed
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.token_sink import Split


_HEAD_BYTES = 4096  # an error this near to the beginning is in the first stretch
# What files begin with that were taken for text.
_NO_TEXT = {
    b"\xff\xfe": ("UTF-16", "iconv -f utf-16 -t utf-8 FILE > FILE.txt"),
    b"\xfe\xff": ("UTF-16", "iconv -f utf-16 -t utf-8 FILE > FILE.txt"),
    b"\x1f\x8b": ("gzip", "name the file .txt.gz or .jsonl.gz, or zcat FILE | oomguard prepare -"),
    b"\x28\xb5\x2f\xfd": ("zstd", "name the file .txt.zst or .jsonl.zst, or zstdcat FILE | oomguard prepare -"),
    b"BZh": ("bzip2", "name the file .txt.bz2 or .jsonl.bz2, or bzcat FILE | oomguard prepare -"),
    b"\xfd7zX": ("xz", "name the file .txt.xz or .jsonl.xz, or xzcat FILE | oomguard prepare -"),
    b"PAR1": ("Parquet", "name the file .parquet; it cannot come through a pipe"),
}


_PROBLEMS = {
    "separator": (
        "there or soon after, leaving out what is not UTF-8 would make a separator",
        "--errors replace (U+FFFD takes its place)",
    ),
    "engine": (
        "tiktoken cannot encode this text (a very long run of white space)",
        "pip install gigatoken, which can",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Input, options and budget of one run."""

    sources: list[Source]
    options: PrepareOptions
    resolved: ResolvedOptions
    budget: BudgetPlan
    rank_file: Path
    sentinel: bytes  # between documents that no separator divides; random, so that no text can hold it
    notes: tuple[str, ...] = ()  # what the user should know, for people
    expectations: tuple[str, ...] = ()  # those of them that are guesses; at the end it is known

    @property
    def encoder_bytes(self) -> int:
        """What the first encoder takes before it has learned anything."""
        return nursery_bytes(self.resolved.spec.family)

    @property
    def forked_bytes(self) -> int:
        """What one more encoder takes."""
        return forked_bytes()

    @property
    def by_document(self) -> bool:
        """Whether the documents' numbers decide which split they belong to."""
        return self.resolved.val_fraction not in (None, "0")

    @property
    def with_ends(self) -> bool:
        """Whether encoders must say where documents end."""
        return self.by_document or self.resolved.output.writes_documents(self.resolved.layout)

    def mark_of(self, source: Source) -> bytes:
        """The text between two documents of a source; empty where it is one document."""
        return self.resolved.separator if source.kind == "text" else self.sentinel

    def text_bytes(self, work: Work, encoded: Encoded) -> int:
        """Bytes of input in a piece: all but the sentinels that the reader put in."""
        if work.mark != self.sentinel:
            return work.task.size
        return work.task.size - (encoded.documents - work.task.ends_document) * len(self.sentinel)

    def stream_split(self, source: Source) -> Split | None:
        """The split of a stream's pieces: one undivided text of unknown length is for training."""
        undivided = source.kind == "text" and not self.resolved.separator
        return "train" if self.by_document and undivided else None

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
            longest_needs=self.budget_for_word,
        )
        feed = PlainFeed(index=index, source=self.sources[index], rules=rules, offset=offset)
        if self.by_document and not rules.separator and not self._has_many_texts:
            feed.set_val_fraction(Fraction(self.resolved.val_fraction or 0))
        return feed

    @property
    def _has_many_texts(self) -> bool:
        """Whether text files are enough documents to choose whole ones; else the end of each is for validation."""
        texts = sum(source.seekable_text for source in self.sources)
        return texts * Fraction(self.resolved.val_fraction or 0) >= 1

    def encoder_config(self, slots: Slots, *, mark: bytes) -> EncoderConfig:
        """What the first encoder is told, and so all that are forked from it."""
        return EncoderConfig(
            encoding=self.resolved.spec.name,
            rank_file=str(self.rank_file),
            mark=mark.decode("latin-1"),
            eot=self.resolved.eot,
            newlines=self.options.newlines,
            errors=self.options.errors,
            with_ends=self.with_ends,
            verify=self.options.verify,
            learn=self.budget.learn,
            growth=self.budget.growth,
            longest_word=self.budget.longest_word,
            longest_piece=slots.layout.longest_piece,
            slots=slots.layout.slots,
            slots_fd=slots.fd,
            mark_is_added=mark == self.sentinel,
        )

    def budget_for_word(self, size: int) -> str:
        """The flag with which a word of `size` bytes fits."""
        return f"--max-rss {self._word_budget(size) // MIB + 1}M"

    def _word_budget(self, size: int) -> int:
        return budget_for_word(
            size,
            family=self.resolved.spec.family,
            reader=not all(source.seekable_text for source in self.sources),
            verify=self.options.verify != "off",
        )

    def reader_config(self, slots: Slots) -> ReaderConfig:
        """What the reader is told."""
        return ReaderConfig(
            sources=[asdict(source) for source in self.sources],
            text_field=self.resolved.text_field,
            errors=self.options.errors,
            separator=self.resolved.separator.decode("latin-1"),
            sentinel=self.sentinel.decode("latin-1"),
            universal_newlines=self.options.newlines == "universal",
            family=self.resolved.spec.family,
            piece_bytes=min(self.budget.piece_bytes, MIB),
            longest_piece=self.budget.longest_piece,
            largest_document=self.budget.largest_document,
            token_bytes=self.resolved.spec.token_bytes,
            slots=slots.layout.slots,
            slots_fd=slots.fd,
            stdin=any(source.path == "-" for source in self.sources),
        )

    def text_error(self, work: Work, encoded: Encoded, *, documents: int) -> OomguardError:
        """What an encoder found wrong with a text."""
        where = work.where(encoded.error_at, documents + encoded.error_documents)
        if encoded.error == "utf8":
            start = bytes.fromhex(encoded.error_text)
            known = next((words for magic, words in _NO_TEXT.items() if start.startswith(magic)), None)
            if known and work.task.starts_document and encoded.error_at < _HEAD_BYTES:
                return BadInput(f"{where}: this is no text but {known[0]}", do=known[1])
            return BadInput(
                f"{where}: not UTF-8",
                do="--errors replace (U+FFFD takes its place) or --errors skip (left out); either goes on from here",
            )
        if encoded.error == "differs":
            return WorkerFailed(
                f"{where}: gigatoken and tiktoken do not agree: {encoded.error_text}",
                do="please report it with the text from there; pip uninstall gigatoken makes tiktoken do the work",
            )
        if encoded.error == "word":
            size = int(encoded.error_text)
            return BudgetTooSmall(
                f"{where}: a word of {format_size(size)} that cannot be cut without changing tokens does not fit",
                do=f"{self.budget_for_word(size)}, or look at the file: such text is rarely meant to be there",
            )
        what, do = _PROBLEMS.get(
            encoded.error or "", (encoded.error_text, "check the file, then run the same command again")
        )
        return BadInput(f"{where}: {what}", do=do)
