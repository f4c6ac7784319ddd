"""What a run has done, on disk: `.oomguard/manifest.jsonl` in the output folder.

The first line says what the shards are made of; then a line for each finished shard and each checkpoint; at the end
one for the result. Lines are only ever appended, after what they speak of is on disk, so that a torn last line is
all that a power cut can leave. Only a shard's name is told before the shard has it: what bears that name is ours.
The folder's name keeps clear of "train" and "val": loaders list files by those words.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from oomguard.errors import BadInput, Changed, InUse, OomguardError
from oomguard.text import printable

SCHEMA = "oomguard.manifest/1"
STATE_FOLDER = ".oomguard"


@dataclass(slots=True)
class Progress:
    """What the manifest says is done."""

    checkpoint: dict[str, Any] | None = None
    shards: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] | None = None


class Manifest:
    """Holds the lock of the output folder while it is open."""

    def __init__(self, folder: Path) -> None:
        """Lock the output folder.

        Raises: InUse if another run has it; BadInput if it cannot be made or written.
        """
        self.state = folder / STATE_FOLDER
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise BadInput(
                f"cannot write in the output folder {folder}: {error.strerror}", do="--out FOLDER that you may write"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise InUse(
                f"another oomguard prepare is working in {folder}", do="wait for it, or use another --out FOLDER"
            ) from error
        self._file = self.state / "manifest.jsonl"
        self._fd = -1

    @property
    def exists(self) -> bool:
        """Whether an earlier run left one."""
        return self._file.exists()

    def shard_names(self) -> set[str]:
        """Names of the shards that earlier runs made here."""
        return _shard_names(_read_lines(self._file)) if self.exists else set()

    @staticmethod
    def peek(state: Path, header: dict[str, Any] | None = None) -> Progress:
        """Read what is done without a lock: nothing where there is no manifest, or (with `header`) another job's."""
        file = state / "manifest.jsonl"
        lines = _read_lines(file) if file.is_file() else []
        if header is not None and lines and lines[0] != json.loads(json.dumps({"schema": SCHEMA, **header})):
            return Progress()
        return _progress(lines)

    def close(self) -> None:
        """Give up the lock."""
        if self._fd >= 0:
            os.close(self._fd)
        os.close(self._lock)

    def begin(self, header: dict[str, Any], *, restart: bool) -> Progress:
        """Open the manifest, new or to go on with, and give what is done already.

        Raises: Changed if it was made from another input or with other options; both values are shown. BadInput if
        the disk refuses.
        """
        lines = _read_lines(self._file) if self._file.exists() else []
        if restart:
            self._remove_shards(lines)
            lines = []
        header = json.loads(json.dumps({"schema": SCHEMA, **header}))
        if lines and lines[0].get("schema") == SCHEMA and lines[0] != header and not _holds_work(lines):
            lines = []  # an earlier attempt that came to nothing keeps nobody from another job
        if lines:
            _require_same(lines[0], header)
            # Shards that were finished after the last checkpoint are done again.
            points = [number for number, line in enumerate(lines) if "checkpoint" in line or "result" in line]
            kept = lines[: points[-1] + 1 if points else 1]
            lines = kept + [{"naming": name} for name in sorted(_shard_names(lines) - _shard_names(kept))]
        self._write_anew(b"".join(json.dumps(line).encode() + b"\n" for line in lines or [header]))
        return _progress(lines)

    def _write_anew(self, content: bytes) -> None:
        """Drop a torn last line, or replace an old manifest, in one step."""
        new = self._file.with_suffix(".new")
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._file)
            sync_folder(self.state)
            self._fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        except OSError as error:
            raise disk_error(error, self._file) from error

    def append(self, **line: Any) -> None:
        """Add a line and wait until it is on disk.

        Raises: BadInput if the disk refuses.
        """
        try:
            write_all(self._fd, memoryview(json.dumps(line, separators=(",", ":")).encode() + b"\n"))
            os.fdatasync(self._fd)
        except OSError as error:
            raise disk_error(error, self._file) from error

    def _remove_shards(self, lines: list[dict[str, Any]]) -> None:
        """Take away what the manifest says was made here, and nothing else."""
        for name in _shard_names(lines):
            (self.state.parent / name).unlink(missing_ok=True)
        for partial in self.state.glob("*.partial"):
            partial.unlink()


def _read_lines(file: Path) -> list[dict[str, Any]]:
    lines = []
    for line in file.read_bytes().split(b"\n")[:-1]:
        try:
            parsed = json.loads(line)
        except ValueError:
            break  # torn by a power cut; nothing after it counts
        if not isinstance(parsed, dict):
            break
        lines.append(parsed)
    return lines


def _holds_work(lines: list[dict[str, Any]]) -> bool:
    checkpoints = [line["checkpoint"]["totals"]["input_bytes"] for line in lines if "checkpoint" in line]
    return any(checkpoints) or bool(_shard_names(lines)) or any("result" in line for line in lines)


def _shard_names(lines: list[dict[str, Any]]) -> set[str]:
    """Names that shards have, or were about to get."""
    told = [line["shard"]["path"] if "shard" in line else line.get("naming", "") for line in lines[1:]]
    return {Path(name).name for name in told if name}


def _progress(lines: list[dict[str, Any]]) -> Progress:
    progress = Progress()
    for line in lines[1:]:
        if "shard" in line:
            progress.shards.append(line["shard"])
        progress.checkpoint = line.get("checkpoint", progress.checkpoint)
        progress.result = line.get("result", progress.result)
    return progress


def _require_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    for key in dict.fromkeys([*new, *old]):  # in the order of the header: the input first
        before, now = old.get(key), new.get(key)
        if before != now:
            raise Changed(
                f"another job's shards are here: {key} was {_words(before, now)}, and now it is {_words(now, before)}",
                do="another --out FOLDER; or the same as before to go on, or --restart to begin anew here",
            )


def _words(value: Any, other: Any) -> str:
    """A value of the header for people; of a list of files, the first one that the other does not have."""
    if isinstance(value, list):
        others = other if isinstance(other, list) else []
        differs = next((item for item in value if item not in others), value[0] if value else None)
        more = f" and {len(value) - 1} more" if len(value) > 1 else ""
        return f"{_words(differs, None)}{more}"
    if isinstance(value, dict) and "path" in value:
        if value.get("bytes") is None or value.get("changed") is None:
            return f"{printable(value['path'])} ({value.get('bytes')} bytes)"
        changed = datetime.fromtimestamp(value["changed"] / 1e9).astimezone().isoformat(" ", "microseconds")
        return f"{printable(value['path'])} ({value['bytes']:,} bytes, changed {changed})"
    return json.dumps(value)


def write_all(fd: int, data: memoryview) -> None:
    """Write all of `data`: a disk that is nearly full takes a part first, and only then refuses."""
    while data:
        data = data[os.write(fd, data) :]


def disk_error(error: OSError, file: Path) -> OomguardError:
    """What a disk that refuses means for the run."""
    return BadInput(
        f"could not write {file}: {error.strerror}",
        do="make room, then run the same command again: it goes on from the last checkpoint",
    )


def sync_folder(folder: Path) -> None:
    """Make renames in a folder survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
