"""What a conversion would lose, and where documents end in shards that do not say it. Facts in, decision out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ends = Literal["stored", "after", "before", "checked", "none", "not needed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsFacts:
    """What is known of document ends."""

    stored: bool  # the files say them
    eot_place: str | None  # as the manifest has it: before, after, none; None: there is no manifest
    eot_known: bool  # the id of the end-of-text token
    eot_asked: bool  # the user named it
    target_documents: bool  # the target writes them


@dataclass(frozen=True, slots=True, kw_only=True)
class EndsDecision:
    """Where ends come from, and what is lost by it; `missing` is what the user could name instead."""

    ends: Ends
    loss: str = ""
    missing: str = ""


_ASK = "--eot-token ID, if each document ends with it"


def decide_ends(facts: EndsFacts) -> EndsDecision:
    """Document ends stay known: as ends, or as end-of-text tokens that stand for them, which no text can hold."""
    place = facts.eot_place if facts.eot_known and facts.eot_place != "none" else None
    if not facts.target_documents:
        return _decide_tokens_only(facts, place)
    if facts.stored:
        return EndsDecision(ends="stored")
    if place is not None:
        return EndsDecision(ends="before" if place == "before" else "after")
    loss = "where documents end, which these shards do not say: each split would be one document"
    return EndsDecision(ends="none", loss=loss, missing=_ASK)


def _decide_tokens_only(facts: EndsFacts, place: str | None) -> EndsDecision:
    if facts.stored and facts.eot_asked:
        return EndsDecision(ends="checked")
    if facts.stored and place is None:
        return EndsDecision(ends="not needed", loss="where documents end", missing=_ASK)
    return EndsDecision(ends="not needed")
