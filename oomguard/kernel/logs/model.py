"""A log, read or not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSource:
    """A place where a kill may be told of. `unread`: why it was not read; `do`: what would make it readable."""

    name: str  # kmsg, journal, file, stdin
    what: str  # for people: the file, or "the journal of this boot"
    unread: str | None = None
    do: str | None = None
    named: bool = False  # by the user
    covers: str | None = None  # "this boot", "the boot before"; None: what the file holds
