"""What became of each document, for --provenance: its source, its place there, and where its tokens are.

Rows go to a file of fixed width beside the open shards, as they come, and the names of the sources to another one; both
are synced and resumed as shards are. After so many rows a Parquet file is built from the two, so that its bytes depend
on the documents alone, however often the run was stopped.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from oomguard.kernel import safe_files
from oomguard.preparation.writing.beside_files import give_name, write_beside
from oomguard.preparation.writing.document_ends import Spool
from oomguard.preparation.writing.manifest import disk_error
from oomguard.preparation.writing.provenance_file import ROW, SPLITS, file_name, parquet_of, read_rows, rows_by_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from oomguard.preparation.writing.manifest import Manifest
    from oomguard.preparation.writing.val_split import ValSplit

FILE_ROWS = 1 << 20
_STRETCH = 1 << 14  # documents of a piece that are noted at once
_MOST_TOKENS = (1 << 31) - 1  # in a row, whose number of tokens is an int32


class Provenance:
    """Follows the tokens of a run. All methods may raise OomguardError if the disk refuses."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        source_name: Callable[[int], str],
        *,
        split: ValSplit | None,
        val_tokens: int,
    ) -> None:
        """`split` chooses documents for validation; else the first `val_tokens` of all are."""
        self.files: list[dict[str, Any]] = []  # finished: path, bytes, sha256
        self._folder = folder
        self._manifest = manifest
        self._state = manifest.state
        self._source_name = source_name
        self._split = split
        self._val_tokens = val_tokens
        self._index = 0  # of the open file
        self._next = [0, 0]  # the first free token of each split
        self._open_tokens = 0  # of a document whose end is yet to come,
        self._open_from = -1  # and where that begins
        self._names = 0  # of sources in the open file
        self._name = ""  # the last one
        self._spools: tuple[Spool, Spool] | None = None
        self._done: list[Path] = []  # spools of files that have their names

    def take(
        self,
        document: int,
        *,
        ends: memoryview,
        origins: memoryview,
        tokens: int,
        open_from: int,
        split: str | None,
        source: int,
        member: str,
    ) -> None:
        """Note the documents that end in a piece, of which the first is number `document`; all else as in it."""
        name, done = self._name_of(source, member), 0
        for first in range(0, len(ends), _STRETCH):  # of very short ones there may be half a million
            begins = np.array(origins[first : first + _STRETCH], np.int64)
            counts = np.diff(np.array(ends[first : first + _STRETCH], np.int64), prepend=done)
            counts[0] += self._open_tokens
            if begins[0] < 0:
                begins[0] = self._open_from
            self._open_tokens, done = 0, ends[min(first + _STRETCH, len(ends)) - 1]
            self._append(self._rows(document + first, begins, counts, split), name)
        self._open_tokens += tokens - (ends[-1] if len(ends) else 0)
        if open_from >= 0:
            self._open_from = open_from

    def _name_of(self, source: int, member: str) -> str:
        name = self._source_name(source)
        name = f"{name}: {member}" if member else name
        return name.encode(errors="backslashreplace").decode()  # as it is, but where it is no Unicode

    def _rows(self, document: int, origins: Any, tokens: Any, split: str | None) -> Any:
        rows = np.zeros(len(tokens), ROW)
        rows["document"] = np.arange(document, document + len(tokens))
        rows["origin"] = origins
        rows["split"] = self._splits(document, len(tokens), split)
        if sum(self._next) < self._val_tokens or int(tokens.max()) > _MOST_TOKENS:
            rows = self._divided(rows, tokens)
            tokens = rows["tokens"].astype(np.int64)
        rows["tokens"] = tokens
        for code in (0, 1):
            own = np.where(rows["split"] == code, tokens, 0)
            behind = self._next[code] + np.cumsum(own)
            rows["first"] = np.where(rows["split"] == code, behind - own, rows["first"])
            self._next[code] = int(behind[-1])
        return rows

    def _splits(self, document: int, count: int, split: str | None) -> Any:
        codes = np.zeros(count, np.uint8)
        if split is not None:
            codes[:] = SPLITS.index(split)
        elif self._split is not None:
            val = self._split.next_val(document)
            while val is not None and val < document + count:
                codes[val - document] = 1
                val = self._split.next_val(val + 1)
        return codes

    def _divided(self, rows: Any, tokens: Any) -> Any:
        """Give a document two rows where validation ends in it, and where it has more tokens than a row can say."""
        starts = sum(self._next) + np.cumsum(tokens) - tokens
        parts = []
        for row, start, count in zip(rows, starts.tolist(), tokens.tolist(), strict=True):
            at, end = start, start + count
            while at < end or at == start:
                is_val = at < self._val_tokens
                stop = min(end, at + _MOST_TOKENS, self._val_tokens if is_val else end)
                part = row.copy()
                part["tokens"] = stop - at
                if self._val_tokens:
                    part["split"] = is_val
                parts.append(part)
                at = stop
                if at == end:
                    break
        return np.array(parts, ROW)

    def _append(self, rows: Any, name: str) -> None:
        while len(rows):
            if self._spools is None:
                self._begin()
            assert self._spools is not None
            spool, names = self._spools
            if not self._names or name != self._name:
                names.append(json.dumps(name).encode() + b"\n")
                self._names, self._name = self._names + 1, name
            room = FILE_ROWS - spool.size // ROW.itemsize
            rows["source"] = self._names - 1
            spool.append(rows[:room].tobytes())
            rows = rows[room:]
            if spool.size == FILE_ROWS * ROW.itemsize:
                self.finish()

    def _begin(self) -> None:
        self._spools = self._of_file(self._index)
        for spool in self._spools:
            spool.begin()
        self._names, self._name = 0, ""
        try:
            safe_files.sync_folder(self._state)  # a checkpoint may speak of these files
        except OSError as error:
            raise disk_error(error, self._state) from error

    def _of_file(self, index: int) -> tuple[Spool, Spool]:
        stem = f"p{index:06d}"
        return Spool(self._state / f"{stem}.rows.partial"), Spool(self._state / f"{stem}.names.partial")

    def finish(self) -> None:
        """Build the open file and give it its name; nothing to do if none is open."""
        if self._spools is None:
            return
        spool, names = self._spools
        temporary = self._state / f"p{self._index:06d}.partial"
        file = write_beside(temporary, file_name(self._index), parquet_of(spool, names))
        identity = give_name(self._folder, file, self._tell_name)
        self._done += [spool.path, names.path]
        self.close()
        self._spools = None
        self._index += 1
        self.files.append(file.to_json())
        self._manifest.append(provenance_file=file.to_json(), file=identity)

    def _tell_name(self, name: str, sha256: str) -> None:
        self._manifest.append(naming=name, sha256=sha256)

    def sync(self) -> dict[str, Any]:
        """Put all that was taken on disk and give the position to continue from."""
        spools = {}
        if self._spools is not None:
            rows, names = (spool.sync() for spool in self._spools)
            spools = {"rows": rows, "names": [*names, self._names], "name": self._name}
        return {"file": self._index, "next": [*self._next], "open": [self._open_tokens, self._open_from], **spools}

    def resume(self, position: dict[str, Any], files: Sequence[dict[str, Any]]) -> None:
        """Go on from a position that `sync` gave, behind finished files.

        Raises: Changed if the spools do not hold what was left in them.
        """
        self.files = list(files)
        self._index, self._next = position["file"], list(position["next"])
        self._open_tokens, self._open_from = position["open"]
        if "rows" not in position:
            return
        self._spools = self._of_file(self._index)
        self._spools[0].resume(*position["rows"])
        self._spools[1].resume(*position["names"][:2])
        self._names, self._name = position["names"][2], position["name"]

    def restore(self, position: dict[str, Any]) -> None:
        """Make the spools of a position again from the file that was finished behind it, for `resume`."""
        if "rows" not in position:
            return
        self._index = position["file"]
        rows = position["rows"][0] // ROW.itemsize
        for found, names in read_rows(self._folder / file_name(self._index)):
            for name, own in rows_by_source(found[:rows], names):
                self._append(own, name)
            rows -= len(found)
            if rows <= 0:
                break
        self.sync()
        self.close()
        self._spools = None

    def forget_parts(self) -> None:
        """A checkpoint behind the finished files is on disk: what they were built from goes."""
        try:
            for part in self._done:
                safe_files.unlink(part)
        except OSError as error:
            raise disk_error(error, part) from error
        self._done.clear()

    def close(self) -> None:
        """Leave what is open as it is."""
        for spool in self._spools or ():
            spool.close()
