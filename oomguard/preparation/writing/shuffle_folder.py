"""The folder in which documents wait for their places while a run shuffles: what is in it, and when it goes."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from oomguard.errors import Changed
from oomguard.kernel import safe_files
from oomguard.preparation.writing.manifest import STATE_FOLDER, Manifest, disk_error
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

_OURS = re.compile(r"[tv][ab][0-9]{3}\.(?:tokens|keys)|lock|manifest\.(?:jsonl|new)")


def spool_folder(out: Path) -> Path:
    """Where documents wait for their places."""
    return out / STATE_FOLDER / "spool"


def is_under_way(out: Path) -> bool:
    """Whether a shuffled run that has done something is not finished there. Raises: Changed."""
    progress = Manifest.peek(spool_folder(out) / STATE_FOLDER)
    return progress.result is not None or any((progress.checkpoint or {"totals": {}})["totals"].values())


def remove_spool(out: Path) -> None:
    """Take away what a shuffle has left, if it has. Raises: OomguardError if the disk refuses."""
    folder = spool_folder(out)
    if not folder.is_dir() or folder.is_symlink():
        return
    try:
        for inner in (folder / STATE_FOLDER, folder):
            for file in inner.glob("*"):
                if _OURS.fullmatch(file.name):
                    safe_files.unlink(file)
            with suppress(OSError):  # something else is in it, and stays
                inner.rmdir()
    except OSError as error:
        raise disk_error(error, folder) from error


def require_none_under_way(out: Path) -> None:
    """A run without --shuffle does not begin where a shuffled one can be resumed.

    Raises: Changed.
    """
    if is_under_way(out):
        raise Changed(
            f"a run with --shuffle was begun in {printable(str(out))} and is not finished",
            do="the same command as before to resume it, --restart to start over, or another --out FOLDER",
        )


def require_full(folder: Path, *, is_full: bool, has_begun: bool) -> None:
    """Shards that were begun can be continued only from a folder that has all documents.

    Raises: Changed.
    """
    if has_begun and not is_full:
        raise Changed(
            f"{printable(str(folder))} does not hold the documents of the run that was begun here",
            do="--restart to make the shards again, or another --out FOLDER",
        )


def require_no_link(folder: Path) -> None:
    """Documents wait in a folder that the run makes, and not where a link leads.

    Raises: Changed.
    """
    if folder.is_symlink():
        raise Changed(
            f"{printable(str(folder))} is a link, and the run keeps documents in a folder of its own",
            do=f"rm {shlex.quote(str(folder))}",
        )
