"""What a worker has made of a chunk, as the sink takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard.preparation.writing.token_sink import EncodedPiece, Totals

if TYPE_CHECKING:
    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.engines.slots import Slots
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.job import Job


def count_of(work: Work, encoded: Encoded) -> Totals:
    """What it adds to the totals."""
    return Totals(
        tokens=encoded.tokens,
        documents=encoded.documents - work.goes_on,
        input_bytes=encoded.text_bytes,
        repaired_bytes=encoded.repaired,
        left_out=encoded.left_out,
        verified_documents=encoded.verified_documents,
        verified_bytes=encoded.verified_bytes,
    )


def piece_of(
    job: Job, slots: Slots, work: Work, encoded: Encoded, *, count: Totals, position: dict[str, Any], is_whole: bool
) -> EncodedPiece:
    """The tokens of a chunk, where they are; `is_whole`: nothing was wrong with it."""
    slot = work.task.slot
    return EncodedPiece(
        tokens=slots.tokens(slot, encoded.tokens),
        ends=slots.ends(slot, encoded.documents) if job.with_ends else None,
        split=work.split,
        count=count,
        origins=slots.origins(slot, encoded.documents) if job.options.provenance else None,
        open_from=encoded.open_from,
        source=work.source,
        member=work.member,
        position=position,
        read=work.parts(encoded) if is_whole else (),
    )
