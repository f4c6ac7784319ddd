"""What a person should know of a job before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.storage import is_in_memory
from oomguard.preparation.disk_room import BYTES_PER_TOKEN, unknown_room
from oomguard.preparation.reading.kinds import KINDS
from oomguard.preparation.shuffle_rules import disk_beside_shards, disk_note, require_documents
from oomguard.preparation.writing.formats.base import expect_no_train_shard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source


def job_notes(
    sources: Sequence[Source], options: PrepareOptions, resolved: ResolvedOptions, *, why_slow: str
) -> list[str]:
    """What holds for certain; `why_slow`: the core does not encode, "" if it does.

    Raises: BadInput where a shuffle has no documents.
    """
    notes = []
    if is_in_memory(options.out):
        notes.append(f"{options.out} is in memory (tmpfs): what is written there counts against the budget")
    if resolved.separator and not any(source.kind in ("text", "tar") for source in sources):
        notes.append("--separator divides text files only, and has no effect here")
    if resolved.wanted.field_asked and not any(KINDS[source.kind].has_fields for source in sources):
        notes.append("--text-field names a field of jsonl or parquet, and has no effect here")
    if options.shuffle is not None:
        notes += require_documents(sources, resolved.separator)
        notes.append(disk_note(disk_beside_shards(sources, resolved.spec.token_bytes)))
    return [*notes, *_tokenizer_notes(resolved.spec, why_slow=why_slow, asked=options.tokenizer is not None)]


def job_guesses(sources: Sequence[Source], options: PrepareOptions, resolved: ResolvedOptions) -> list[str]:
    """What is known at its end, and can only be guessed before."""
    return unknown_room(options.out, sources, resolved.layout.token_bytes) + expect_no_train_shard(
        resolved.layout,
        first_is_val=resolved.val_fraction is None and all(source.divisible_text for source in sources),
        tokens=sum(source.size or 0 for source in sources) / BYTES_PER_TOKEN,
    )


def _tokenizer_notes(spec: EncodingSpec, *, why_slow: str, asked: bool) -> list[str]:
    """What a person should know of the tokenizer."""
    notes = []
    if asked:
        notes.append(f"tokenizer {spec.name}: {spec.summary()}")
        if spec.token_bytes > 2:
            notes.append(
                f"ids go up to {spec.vocabulary_size - 1:,}: the trainer needs vocab_size {spec.vocabulary_size}"
            )
    if why_slow:
        notes.append(f"{why_slow}: {spec.reference} does the work")  # how slow it is, the first line says
    if spec.family == "none":
        notes.append("with this tokenizer a document is never cut, so each is held in memory whole")
    return notes
