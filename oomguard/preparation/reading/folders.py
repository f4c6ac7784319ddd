"""What is in folders, in which order, and which of it counts where they say so: saved `datasets`, the Hub's cache."""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oomguard.errors import BadInput
from oomguard.preparation.reading.source import open_here
from oomguard.text import printable, shell_word

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
            do="copy the whole folder again",
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


_NUMBERS = re.compile("[0-9]+")


class RealPath:
    """os.path.realpath(), which asks for the links of a folder once for all of the files in it."""

    def __init__(self) -> None:
        self._folder, self._real = "", ""

    def __call__(self, path: Path | str) -> str:
        """The path without links."""
        text = os.fspath(path)
        name = text.rpartition("/")[2]
        if name in ("", ".", "..") or os.path.islink(text):  # noqa: PTH114 - a str, which costs a third
            return os.path.realpath(text)
        folder = text[: -len(name)]
        if not self._real or folder != self._folder:
            self._folder, self._real = folder, os.path.realpath(folder).rstrip("/")
        return f"{self._real}/{name}"


@dataclass(frozen=True, slots=True)
class _Listed:
    names: list[str]  # in natural order
    folders: set[str]
    links: set[str]


def list_folder(folder: Path) -> _Listed:
    """What is in a folder."""
    listed = _Listed([], set(), set())
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                listed.names.append(entry.name)
                if entry.is_symlink():
                    listed.links.add(entry.name)
                if _leads_to_a_folder(entry):
                    listed.folders.add(entry.name)
    except OSError as error:
        raise BadInput(
            f"may not list {printable(str(folder))}: {error.strerror}", do=f"ls -ld {shell_word(str(folder))}"
        ) from error
    # As by _natural_name, in two steps: a million pairs of a key and a name take 60 MB more.
    listed.names.sort()
    listed.names.sort(key=_as_sorted_name)
    return listed


def _leads_to_a_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle: opening it says so
        return False


def check_links(path: Path) -> None:
    """Raises: BadInput where another user's link leads to what is not that user's."""
    try:
        os.close(open_here(str(path)))
    except OSError as error:
        name = shell_word(str(path))
        # Where a link of another user's leads: who gives that name means it.
        do = f'oomguard prepare "$(readlink -f {name})"' if isinstance(error, PermissionError) else f"ls -l {name}"
        raise BadInput(f"{printable(str(path))} cannot be opened: {error.strerror}", do=do) from error


def status_of(path: Path) -> os.stat_result:
    """Raises: BadInput if it cannot be read as a file."""
    shown = printable(str(path))
    do = f"ls -l {shell_word(str(path))}"
    try:
        status = path.stat()
    except OSError as error:
        raise BadInput(f"{shown} cannot be opened: {error.strerror}", do=do) from error
    if not stat.S_ISREG(status.st_mode):
        what = "a pipe" if stat.S_ISFIFO(status.st_mode) else "a device or socket"
        raise BadInput(f"{shown} is {what}, not a file", do=f"cat {shell_word(str(path))} | oomguard prepare -")
    if not os.access(path, os.R_OK, effective_ids=True):
        raise BadInput(f"{shown} may not be read", do=do)
    return status


def natural(path: Path | str) -> list[tuple[str, str]]:
    """Sort "part2" before "part10", folder by folder."""
    return [_natural_name(name) for name in Path(path).parts]


def _natural_name(name: str) -> tuple[str, str]:
    """Where a name is among those of its folder. A number is how many digits it has, and then those.

    In front of it stands what no name has, and sorts before all that may follow a text. A string, since a million of
    lists would take gigabytes.
    """
    return _as_sorted_name(name), name


def _as_sorted_name(name: str) -> str:
    return _NUMBERS.sub(_as_sorted, name)


def _as_sorted(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"\0{chr(len(digits))}{digits}"
