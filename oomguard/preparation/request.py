"""What is to be prepared: the options completed, the inputs found, and the room for what is made of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.preparation.disk_room import require_room, room_needed
from oomguard.preparation.preconditions import require_folder
from oomguard.preparation.reading.source import REMOTE
from oomguard.preparation.reading.sources import Found, behind_earlier, find_inputs
from oomguard.preparation.resolving import resolve_options
from oomguard.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.preparation.options import PrepareOptions, ResolvedOptions
    from oomguard.preparation.reading.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Options with what they name. Sizes in bytes."""

    options: PrepareOptions
    resolved: ResolvedOptions
    sources: Sequence[Source]
    notes: tuple[str, ...]  # of how they were found
    needed: int | None  # what the shards take at the least; None: not known
    room: int  # for them

    def require_room(self) -> None:
        """Raises: BadInput if the disk cannot hold what is to be written."""
        require_room(self.options.out, self.needed, self.room)


def look_up(options: PrepareOptions, *, fetch: bool = True) -> Request:
    """Complete the options and find the inputs; without `fetch` nothing is put into the cache of files of servers.

    Raises: OomguardError.
    """
    resolved = resolve_options(options)
    require_folder(options.out)
    found = _find(options, resolved if fetch else replace(resolved, wanted=replace(resolved.wanted, fetch=False)))
    needed, room = room_needed(
        options.out, found.sources, width=resolved.layout.token_bytes, separator=resolved.separator,
        is_cut=resolved.spec.family != "none",
    )  # fmt: skip
    return Request(
        options=options, resolved=resolved, sources=found.sources, notes=found.notes, needed=needed, room=room
    )


def _find(options: PrepareOptions, resolved: ResolvedOptions) -> Found:
    """The inputs; with --extend those that a run in the same folder was given come first."""
    wanted = resolved.wanted
    if any(given.startswith(REMOTE) for given in options.inputs) and not options.restart:
        from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest

        done = Manifest.peek(options.out / STATE_FOLDER).inputs
        wanted = replace(wanted, known=tuple(str(one.get("path")) for one in done))
    found = find_inputs(options.inputs, folder=Path(), exclude=options.out, wanted=wanted)
    if not options.extend:
        return found
    from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest

    earlier = Manifest.peek(options.out / STATE_FOLDER).inputs
    return replace(found, sources=behind_earlier(found.sources, earlier, resolved.wanted, folder=options.out))
