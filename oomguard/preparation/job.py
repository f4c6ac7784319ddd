"""Everything about a run that is settled before it starts."""

from __future__ import annotations

from dataclasses import field
from fractions import Fraction
from typing import TYPE_CHECKING

from oomguard.kernel.machine import usable_cpus
from oomguard.preparation.engines.memory_sum import BudgetPlan, Needs, budget_with_room, flag_for
from oomguard.records import dataclass
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source
    from oomguard.preparation.writing.token_sink import Split


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
    share_of_each_text: Fraction = field(init=False, repr=False)  # counted once: there may be a million files

    def __post_init__(self) -> None:
        """Count the text files."""
        share = share_of_each_text(self.sources, self.resolved, texts=self.text_files)
        object.__setattr__(self, "share_of_each_text", share)

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

    @property
    def ends_are_val(self) -> bool:
        """Whether the end of each text is for validation, and not whole ones."""
        return bool(self.share_of_each_text) and any(source.divisible_text for source in self.sources)

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


def share_of_each_text(sources: Sequence[Source], resolved: ResolvedOptions, *, texts: int | None = None) -> Fraction:
    """How much of the end of each text file is for validation; 0 where whole documents are chosen, or none.

    `texts`: how many there are in the whole corpus, where `sources` is a unit of it.
    """
    fraction = Fraction(resolved.val_fraction or 0)
    if texts is None:
        texts = sum(source.divisible_text for source in sources)
    return Fraction(0) if resolved.separator or texts * fraction >= 1 else fraction
