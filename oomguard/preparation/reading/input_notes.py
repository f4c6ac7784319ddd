"""What a person should know of how inputs were found: recognised, passed over, or why there is nothing."""

from __future__ import annotations

import glob
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NothingFound
from oomguard.preparation.reading.folders import list_folder
from oomguard.preparation.reading.kinds import KINDS, KNOWN, kind_of
from oomguard.preparation.reading.source import REMOTE
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from oomguard.preparation.reading.kinds import Kind

_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HOSTS = ("huggingface.co/datasets/", "hf.co/datasets/", "www.huggingface.co/datasets/")
_LISTED = 5  # file names shown in an error
_KINDS_LISTED = 8  # of what was passed over


@dataclass(frozen=True, slots=True)
class InputNotes:
    """Noted while inputs are looked for, from `folder` on."""

    folder: Path
    passed_over: Counter[str] = field(default_factory=Counter)  # how many files, by their endings
    recognised: dict[Kind, tuple[str, int]] = field(default_factory=dict)  # the first, and how many
    json_texts: list[str] = field(default_factory=list)  # that look like JSON Lines

    def words(self) -> tuple[str, ...]:
        """All of it."""
        return (*self._recognised_words(), *self._passed_over_words())

    def nothing(self, given: str | None) -> NothingFound:
        """Say that an input gives no file."""
        if given is None:
            return NothingFound(
                f"no corpus files in {printable(str(self.folder.absolute()))}: {KNOWN}{self._but()}",
                do="oomguard prepare FILE_OR_FOLDER",
            )
        if given.startswith(REMOTE):
            return NothingFound(
                f'"{printable(given)}" names nothing that is read from a server{self._but()}',
                do="name files, folders or globs of .parquet, .jsonl or .txt; --input-format says what others are",
            )
        path = self.folder / given
        return NothingFound(
            f'"{printable(given)}" {_why_nothing(given, path)}{self._but()}', do=self._instead(given, path)
        )

    def _recognised_words(self) -> Iterator[str]:
        """Say which files are read as what their first bytes say, a line for each kind."""
        for kind, (first, count) in self.recognised.items():
            more = f" and {count - 1:,} more" if count > 1 else ""
            name = KINDS[kind].words
            yield f"{first}{more}: read as {name}, which the first bytes show (as text: --input-format text)"
        if self.json_texts:
            more = f" and {len(self.json_texts) - 1:,} more" if len(self.json_texts) > 1 else ""
            what = "read as text, as the name says, though its lines are JSON objects"
            yield f"{self.json_texts[0]}{more}: {what} (a field of each: --input-format jsonl)"

    def _passed_over_words(self) -> tuple[str, ...]:
        """Say in one line what folders held that is not read, if anything."""
        if not self.passed_over:
            return ()
        kinds, count = list(self.passed_over), self.passed_over.total()
        more = " ..." if len(kinds) > _KINDS_LISTED else ""
        files = "1 file" if count == 1 else f"{count:,} files"
        return (f"ignored: {files} ({printable(' '.join(kinds[:_KINDS_LISTED]))}{more})",)

    def _but(self) -> str:
        return "".join(f"; {words}" for words in self._passed_over_words())

    def _instead(self, given: str, path: Path) -> str:
        if _HUB_NAME.fullmatch(given) and not path.parent.exists():
            on_hub = f"oomguard prepare hf://datasets/{shell_word(given)}"
            return f"there is no such file; for a dataset on the Hub: {on_hub}"
        if given.startswith(_HOSTS):
            return f"oomguard prepare {shell_word(f'https://{given}')}"
        near = path if path.is_dir() else path.parent
        near = near if near.is_dir() else self.folder
        try:
            names = [near / name for name in list_folder(near).names if kind_of(name)]
        except BadInput:
            names = []
        if not names and self.passed_over and path.is_dir():
            return f"name the files if they are text: {shlex.quote(printable(str(path)))}/*"
        if not names:
            return "oomguard prepare FILE_OR_FOLDER"
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        return f"there are: {', '.join(printable(str(name)) for name in names[:_LISTED])}{more}"


def _why_nothing(given: str, path: Path) -> str:
    if given and path.is_dir():
        return f"holds no corpus files: {KNOWN}"
    return "matches no file" if glob.has_magic(given) else "does not exist"
