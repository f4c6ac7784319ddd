"""The swap lines of /etc/fstab, found, added and taken out without touching any other. Source: fstab(5)."""

from __future__ import annotations

from dataclasses import dataclass

from oomguard.formats.mountinfo import unescape_octal

_ESCAPED = {"\\": "\\134", " ": "\\040", "\t": "\\011", "\n": "\\012", "#": "\\043"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FstabEntry:
    """One line of fstab that is neither empty nor a comment."""

    source: str  # what is mounted or switched on: "/dev/sda2", "UUID=...", "/swapfile"
    target: str  # where; "none" for swap
    kind: str  # "ext4", "swap" ...
    options: frozenset[str]


def parse_fstab(text: str) -> list[FstabEntry]:
    """Read the entries of fstab. Raises: nothing. A line that is none is left out."""
    return [entry for line in text.split("\n") if (entry := _parse_line(line)) is not None]


def swap_line(path: str, *, priority: int | None) -> str:
    """Write the line that switches the swap file `path` on at each boot.

    "nofail": a machine whose swap file is gone still boots.
    """
    options = "nofail" if priority is None else f"nofail,pri={priority}"
    return f"{escape_path(path)} none swap {options} 0 0"


def escape_path(path: str) -> str:
    r"""Write a path as a field of fstab: a space is "\040"."""
    return "".join(_ESCAPED.get(character, character) for character in path)


def has_swap_line(text: str, path: str) -> bool:
    """Whether fstab switches the swap file `path` on already."""
    return any(_is_swap_of(line, path) for line in text.split("\n"))


def add_line(text: str, line: str) -> str:
    """Give fstab with one more line at its end; all before it is kept byte for byte."""
    separator = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{separator}{line}\n"


def remove_swap_lines(text: str, path: str) -> str:
    """Give fstab without the lines that switch the swap file `path` on; all others are kept byte for byte."""
    return "\n".join(line for line in text.split("\n") if not _is_swap_of(line, path))


def _is_swap_of(line: str, path: str) -> bool:
    entry = _parse_line(line)
    return entry is not None and entry.kind == "swap" and entry.source == path


def _parse_line(line: str) -> FstabEntry | None:
    fields = line.split()
    if len(fields) < 3 or fields[0].startswith("#"):
        return None
    options = frozenset(fields[3].split(",")) if len(fields) > 3 else frozenset[str]()
    return FstabEntry(
        source=unescape_octal(fields[0]), target=unescape_octal(fields[1]), kind=fields[2], options=options
    )
