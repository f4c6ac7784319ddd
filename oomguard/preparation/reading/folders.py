"""Folders that say themselves which of their files count: saved `datasets`, and the cache of the Hugging Face Hub."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

_STATE = "state.json"  # datasets.Dataset.save_to_disk
_SPLITS = "dataset_dict.json"  # datasets.DatasetDict.save_to_disk
_LARGEST = 16 << 20  # bytes of such a file: the names of a hundred thousand files
_CACHE = ("blobs", "snapshots")  # huggingface_hub's cache of a repository


def contents_of(folder: Path, names: list[str]) -> list[str]:
    """Give what of a folder's `names` is read, in its order; or a path below it.

    Raises: BadInput where that cannot be told.
    """
    if _STATE in names:
        return _saved(folder, names)
    if _SPLITS in names:
        splits = _json(folder / _SPLITS).get("splits")
        if isinstance(splits, list):
            return [name for name in map(str, splits) if name in names]
    if all(name in names for name in _CACHE):
        return [_snapshot(folder)]
    return names


def _saved(folder: Path, found: list[str]) -> list[str]:
    state = _json(folder / _STATE)
    files = state.get("_data_files")
    if not isinstance(files, list):
        return found
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise BadInput(
            f"{printable(str(folder))} is a saved dataset that chooses rows by a file of indices, which is not read",
            do="save it again with its rows in order: dataset.flatten_indices().save_to_disk(...)",
        )
    names = [file["filename"] for file in files if isinstance(file, dict) and isinstance(file.get("filename"), str)]
    there = set(found)
    missing = next((name for name in names if name not in there), None)
    if missing is not None:
        raise BadInput(
            f"{printable(str(folder))}: {_STATE} names {printable(missing)}, which is not there",
            do="get the folder again, whole",
        )
    return list(dict.fromkeys(names))


def _snapshot(folder: Path) -> str:
    """The revision that `refs/main` names, or the only one."""
    snapshots = sorted(path for path in (folder / "snapshots").iterdir() if path.is_dir())
    try:
        main = _read(folder / "refs" / "main").decode().strip()
    except (OSError, UnicodeDecodeError):
        main = ""
    chosen = [path for path in snapshots if path.name == main] or snapshots
    if len(chosen) != 1:
        shown = ", ".join(printable(path.name) for path in snapshots) or "none"
        raise BadInput(
            f"{printable(str(folder))} is a cache of the Hub, and it is not clear which revision is meant: {shown}",
            do="name the folder below snapshots/",
        )
    return f"snapshots/{chosen[0].name}"


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> bytes:
    """A small file of somebody's folder; of a larger one, or a pipe, which is not waited for, nothing.

    Raises: OSError if it cannot be read.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return b""
        got = file.read(_LARGEST + 1)
        return got if len(got) <= _LARGEST else b""
