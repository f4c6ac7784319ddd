"""Have a command take a part of its input: as an argument in the file's place, or mounted over the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.profiling.scaling.bind_mount import why_not_in_place, with_part_in_place
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.profiling.options import ProfileOptions


def check_can_take_a_part(options: ProfileOptions, input_file: Path) -> None:
    """Raises: BadInput if the command would read the whole file whatever was done."""
    if _places(options.command, input_file):
        return
    if why := why_not_in_place(str(input_file.resolve())):
        raise BadInput(
            f"{printable(str(input_file))} is not an argument of the command, and a part of it cannot be mounted over "
            f"it here: {why}",
            do=f"let it take the file from its command line: -- {options.command[0]} ... FILE; or run this as root",
        )


def with_part(options: ProfileOptions, input_file: Path, part: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Give the command that reads `part`, and the command to show.

    Where the file is an argument of the command, the part stands there: of the same name, in another folder.
    Else it is mounted over the file, for the command alone.
    """
    if _places(options.command, input_file):
        return _replaced(options.command, input_file, part), _replaced(options.shown, input_file, part)
    command = with_part_in_place(options.command, str(input_file.resolve()), str(part))
    return command, options.shown or options.command


def _places(command: Sequence[str], input_file: Path) -> list[int]:
    """Which words of the command name the file, alone or as --flag=FILE."""
    return [number for number, word in enumerate(command) if number and _is_file(word.rpartition("=")[2], input_file)]


def _is_file(word: str, input_file: Path) -> bool:
    try:
        return bool(word) and Path(word).resolve() == input_file.resolve()
    except (OSError, ValueError):
        return False


def _replaced(command: Sequence[str], input_file: Path, part: Path) -> tuple[str, ...]:
    places = set(_places(command, input_file))
    return tuple(
        "".join((*word.rpartition("=")[:2], str(part))) if number in places else word
        for number, word in enumerate(command)
    )
