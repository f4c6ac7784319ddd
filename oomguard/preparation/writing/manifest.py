"""What a run has done, on disk: `.oomguard/manifest.jsonl` in the output folder.

The first line says what the shards are made of; then a line for each finished shard and each checkpoint; at the end
one for the result. Lines are only ever appended, after what they speak of is on disk, so that a torn last line is
all that a power cut can leave. Only a shard's name is told before the shard has it, with its sha256: what bears that
name and is those bytes is ours. After a write or a sync that failed nothing is appended any more: the kernel reports
a failed writeback once, and the next sync would be believed.
The folder's name keeps clear of "train" and "val": loaders list files by those words.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import stat
import time
from dataclasses import field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from oomguard.errors import BadInput, Changed, InUse, OomguardError
from oomguard.kernel import safe_files
from oomguard.preparation.writing.manifest_lines import (
    DamagedLine,
    decode_lines,
    encode_line,
    is_count,
    old_shards,
    salvage_lines,
)
from oomguard.records import dataclass
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = "oomguard.manifest/2"
_OLD_WORK = (b'{"checkpoint"', b'{"shard"', b'{"naming"', b'{"result"')  # so 0.1.0 began its lines
STATE_FOLDER = ".oomguard"
_LOCK_PATIENCE_SECONDS = 2.0
AGAIN = "run the same command again: it resumes from the last checkpoint"
_ELSEWHERE = "--restart to make the shards again, or another --out FOLDER"
_WORK = {"result", "shard", "provenance_file", "naming"}
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NEWER = ("text_ends",)  # keys of the header that earlier versions did not write
_TOUCHES = ("changed", "inode", "ctime")  # of an input
_YEAR_9999 = 253_370_764_800 * 10**9  # nanoseconds; datetime ends there


@dataclass(slots=True)
class Progress:
    """What the manifest says is done."""

    checkpoint: dict[str, Any] | None = None
    shards: list[dict[str, Any]] = field(default_factory=list)
    provenance: list[dict[str, Any]] = field(default_factory=list)  # files: path, bytes, sha256
    files: dict[str, list[int]] = field(default_factory=dict)  # of each of both, by its name: see file_identity()
    told: dict[str, list[str]] = field(default_factory=dict)  # sha256 of what got a name behind the last checkpoint
    result: dict[str, Any] | None = None
    read: dict[int, list[list[int]]] = field(default_factory=dict)  # [start, end, CRC-32] of each source
    bad_files: list[dict[str, Any]] = field(default_factory=list)  # that were not read to their end
    inputs: list[dict[str, Any]] = field(default_factory=list, compare=False)  # as the header has them
    header: dict[str, Any] = field(default_factory=dict, compare=False)
    damaged_line: int | None = None  # of the manifest, from 1: what it says from there on is not believed

    @property
    def beside(self) -> list[str]:
        """The files beside finished shards."""
        return [file["path"] for shard in self.shards for file in shard.get("index", ())]

    @property
    def names(self) -> set[str]:
        """All files that were made, or may have been."""
        return {*self.files, *self.told, *self.beside}


def _lock_soon(fd: int) -> None:
    """Take the lock, from a run that is just being ended as well: its reaper does that after its supervisor's death.

    Raises: BlockingIOError if somebody keeps it; OSError.
    """
    until = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


class Manifest:
    """Holds the lock of the output folder while it is open."""

    def __init__(self, folder: Path) -> None:
        """Lock the output folder.

        Raises: InUse if another run has it; BadInput if it cannot be made or written.
        """
        self.state = folder / STATE_FOLDER
        try:
            safe_files.make_folder(self.state)
            self._lock = safe_files.open_or_create(self.state / "lock")
        except OSError as error:
            raise BadInput(
                f"cannot write in the output folder {folder}: {error.strerror}",
                do="--out with a folder that you may write to",
            ) from error
        try:
            _lock_soon(self._lock)
        except BlockingIOError as error:
            os.close(self._lock)
            raise InUse(
                f"another oomguard prepare is working in {folder}",
                do="wait for it, or use another --out FOLDER",
            ) from error
        except OSError as error:
            os.close(self._lock)
            raise BadInput(
                f"the output folder {folder} cannot be locked, so two runs could write there: {error.strerror}",
                do="--out FOLDER on a local disk; on NFS the mount option local_lock=flock, if only one machine writes",
            ) from error
        self._file = self.state / "manifest.jsonl"
        self._fd = -1
        self._lines = 0
        self._has_failed = False

    @staticmethod
    def peek(state: Path, header: dict[str, Any] | None = None) -> Progress:
        """Read what is done without a lock: nothing where there is no manifest, or (with `header`) another job's.

        Raises: Changed if it is damaged; with `header` as `begin`.
        """
        file = state / "manifest.jsonl"
        if header is None:
            return _progress(_read_lines(file))
        lines, _ = _read_to_damage(file)
        if lines:
            try:
                _require_same(lines, _header_line(header))
            except Changed:
                return Progress()
        return _progress(lines)

    def close(self) -> None:
        """Give up the lock."""
        if self._fd >= 0:
            os.close(self._fd)
        os.close(self._lock)

    def before_the_end(self) -> Progress:
        """What was done at the last checkpoint before the last shards were finished. Raises: Changed."""
        return _progress(_unfinished(_read_lines(self._file)))

    def begin(
        self,
        header: dict[str, Any],
        *,
        restart: bool,
        extend: bool = False,
        check: Callable[[Progress], None] = lambda _: None,
    ) -> Progress:
        """Open the manifest, new or to resume, and give what is done already.

        What was not read yet may be another input than before. With `extend`, a finished run to which inputs were added
        continues from before its last shards were finished. `check` sees what is done (with `restart`: what is then
        taken away), and may raise before the disk is changed.
        Raises: Changed if it was made from another input or with other options (both values are shown), or if it is
        damaged. BadInput if the disk refuses.
        """
        header = _header_line(header)
        if restart:
            done = _salvaged(self._file)
            check(done)
            self._remove(done)
            self._write_anew([header])
            return Progress()
        lines, damage = _read_to_damage(self._file)
        if lines and lines[0].get("schema") == SCHEMA and not _is_same(lines[0], header) and not _holds_work(lines):
            lines = []  # an earlier attempt that came to nothing keeps nobody from another job
        if lines and extend and len(header["input"]) > len(lines[0].get("input", ())):
            lines = _unfinished(lines)
        if lines:
            _require_same(lines, header)
        kept = _kept(lines)
        progress = _progress(kept)
        progress.damaged_line = damage
        check(progress)
        self._write_anew([header, *kept[1:]])
        return progress

    def _write_anew(self, lines: list[dict[str, Any]]) -> None:
        """Drop a torn last line, or replace an old manifest, in one step."""
        try:
            with safe_files.replacing(self._file, beside="manifest.new") as file:
                file.writelines(encode_line(line, number) for number, line in enumerate(lines))
            if self._fd >= 0:  # it is begun again, under the same lock
                os.close(self._fd)
            self._fd = safe_files.open_there(self._file, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise disk_error(error, self._file) from error
        self._lines = len(lines)

    def append(self, **line: Any) -> None:
        """Add a line and wait until it is on disk.

        Raises: BadInput if the disk refuses, or did before.
        """
        if self._has_failed:
            raise BadInput(f"{self._file} could not be written before", do=AGAIN)
        self._has_failed = True
        try:
            write_all(self._fd, memoryview(encode_line(line, self._lines)))
            os.fdatasync(self._fd)
        except OSError as error:
            raise disk_error(error, self._file) from error
        self._lines += 1
        self._has_failed = False

    def _remove(self, done: Progress) -> None:
        """Take away what was made here, and nothing else."""
        try:
            for name in done.names:
                safe_files.unlink(self.state.parent / name)
            for partial in self.state.glob("*.partial"):
                safe_files.unlink(partial)
        except OSError as error:
            raise disk_error(error, self._file) from error


def _salvaged(file: Path) -> Progress:
    """What a manifest says was made here, however damaged it is otherwise."""
    try:
        content = _read(file)
    except Changed:
        return Progress()
    progress = _progress(salvage_lines(content))
    if _is_old(content):
        progress.told |= old_shards(content)
    return progress


def _header_line(header: dict[str, Any]) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(json.dumps({"schema": SCHEMA, **header}))
    return line


def _read(file: Path) -> bytes:
    """Raises: Changed if it is there and cannot be read as a file."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as opened:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return opened.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise Changed(f"{printable(str(file))} cannot be read: {error.strerror}", do=_ELSEWHERE) from error
    raise Changed(f"{printable(str(file))} is not a regular file", do=_ELSEWHERE)


def _read_lines(file: Path) -> list[dict[str, Any]]:
    """Raises: Changed if the file is damaged, or of oomguard 0.1.0 and not without work."""
    content = _read(file)
    if _is_old(content):
        if not any(line.startswith(_OLD_WORK) for line in content.split(b"\n")):
            return []
        raise Changed(
            "the shards here are of oomguard 0.1.0, whose manifest has no checksums to resume from",
            do="--restart to make them again, another --out FOLDER, or oomguard 0.1.0 to finish them",
        )
    try:
        return decode_lines(content)
    except DamagedLine as damage:
        raise Changed(f"{printable(str(file))} is damaged in line {damage.number}", do=_ELSEWHERE) from damage


def _read_to_damage(file: Path) -> tuple[list[dict[str, Any]], int | None]:
    """Give what can be continued from, and the number of the damaged line that ends it, if one does.

    Of the lines behind it only those count that say which names are ours: what was done after the last checkpoint
    before it is done again.
    Raises: Changed as `_read_lines`, and where there is no checkpoint before the damage.
    """
    try:
        return _read_lines(file), None
    except Changed as refusal:
        damage = refusal.__cause__
        if not isinstance(damage, DamagedLine) or not any("checkpoint" in line for line in damage.before):
            raise
    behind = [line for line in salvage_lines(_read(file)) if "naming" in line and line not in damage.before]
    return [*damage.before, *behind], damage.number


def _is_old(content: bytes) -> bool:
    return content.startswith(b'{"schema": "oomguard.manifest/1"')


def _kept(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What counts of the lines: shards that were finished after the last checkpoint are done again."""
    points = [number for number, line in enumerate(lines) if "checkpoint" in line or "result" in line]
    end = points[-1] + 1 if points else 1
    return lines[:end] + _named_later(lines, end)


def _named_later(lines: list[dict[str, Any]], end: int) -> list[dict[str, Any]]:
    """The lines from number `end` on that say what names are ours, but for files that were finished before."""
    done = {line[kind]["path"] for line in lines[:end] for kind in ("shard", "provenance_file") if kind in line}
    return [line for line in lines[end:] if "naming" in line and line["naming"] not in done]


def _holds_work(lines: list[dict[str, Any]]) -> bool:
    points = [line["checkpoint"].get("totals") for line in lines if "checkpoint" in line]
    nothing = all(isinstance(totals, dict) and not any(totals.values()) for totals in points)
    return not nothing or any(line.keys() & _WORK for line in lines)


def _progress(lines: list[dict[str, Any]]) -> Progress:
    header = lines[0] if lines else {}
    progress = Progress(inputs=header.get("input", []), header=header)
    for line in lines:
        if "shard" in line:
            progress.shards.append(line["shard"])
            progress.files[line["shard"]["path"]] = line["file"]
        elif "provenance_file" in line:
            progress.provenance.append(line["provenance_file"])
            progress.files[line["provenance_file"]["path"]] = line["file"]
        elif "naming" in line:
            progress.told.setdefault(line["naming"], []).append(line["sha256"])
        elif "checkpoint" in line:
            for source, *part in line["checkpoint"].get("read", ()):
                progress.read.setdefault(source, []).append(part)
            progress.bad_files += line["checkpoint"].get("bad_files", ())
        progress.checkpoint = line.get("checkpoint", progress.checkpoint)
        progress.result = line.get("result", progress.result)
    for name in (*progress.files, *progress.beside):
        progress.told.pop(name, None)
    return progress


def _is_same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return old.keys() == new.keys() and all(_content(old[key]) == _content(new[key]) for key in new)


def _content(value: Any) -> Any:
    """Leave out what may differ between files of the same bytes: require_same_inputs() sees to those."""
    if isinstance(value, list):
        return [_content(item) for item in value]
    return {key: value[key] for key in value if key not in _TOUCHES} if isinstance(value, dict) else value


def _require_same(lines: list[dict[str, Any]], new: dict[str, Any]) -> None:
    old = lines[0]
    for key in dict.fromkeys([*new, *old]):  # in the order of the header: the input first
        before, now = old.get(key), new.get(key)
        if key == "input" and isinstance(before, list) and isinstance(now, list):
            before, now = _begun(lines, before, now)
        if _content(before) != _content(now) and not (key in _NEWER and key not in old):
            more = ""
            is_longer = isinstance(now, list) and isinstance(before, list) and len(now) > len(before)
            if key == "input" and is_longer and "shuffle" not in new:
                more = "--extend to add the new inputs; "
            for detail in _DETAIL:
                was, is_now = _words(before, now, detail), _words(now, before, detail)
                if was != is_now:
                    break
            raise Changed(
                f"another job's shards are here: {key} was {was}, and now it is {is_now}",
                do=f"{more}another --out FOLDER; or the same as before to resume, or --restart to start over here",
            )


def _begun(lines: list[dict[str, Any]], before: list[Any], now: list[Any]) -> tuple[list[Any], list[Any]]:
    """Give what has to be the same of the inputs: those that were read, and of one under way not its size.

    What was read of that one has a checksum. Of a text the size matters: its end may be for validation.
    """
    if any("result" in line for line in lines):
        return before, now
    point: dict[str, Any] = next((line["checkpoint"] for line in reversed(lines) if "checkpoint" in line), {})
    position: Any = point.get("position") or {}
    done = position.get("source", 0) if is_count(position.get("source", 0)) else len(before)
    under_way = bool(position.keys() & {"offset", "resume"})
    before, now = before[: done + under_way], now[: done + under_way]
    if under_way and len(before) == len(now) == done + 1 and before[done].get("kind") != "text":
        before, now = ([*some[:done], some[done] | {"bytes": None}] for some in (before, now))
    return before, now


def _unfinished(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of a finished run as they were before its last shards got their names, which are told.

    Raises: Changed if there is no such place.
    """
    if not any("result" in line for line in lines):
        return lines
    points = [number for number, line in enumerate(lines) if "checkpoint" in line]
    if len(points) >= 2:
        first, last = (lines[number]["checkpoint"] for number in points[-2:])
        if (first.get("totals"), first.get("position")) == (last.get("totals"), last.get("position")):
            end = points[-2] + 1
            return lines[:end] + _named_later(lines, end)
    raise Changed("the manifest here does not say where its last shards began", do=_ELSEWHERE)


# How much is told of a file: the least that shows how it differs. Last to the byte and the microsecond.
_Detail = Literal["size", "time", "exact"]
_DETAIL: tuple[_Detail, ...] = ("size", "time", "exact")


def _words(value: Any, other: Any, detail: _Detail) -> str:
    """A value of the header for people; of a list of files, the first one that the other does not have."""
    if isinstance(value, list):
        others = {json.dumps(item, sort_keys=True) for item in other} if isinstance(other, list) else set()
        differs = next((item for item in value if json.dumps(item, sort_keys=True) not in others), None)
        differs = value[0] if differs is None and value else differs
        more = f" and {len(value) - 1} more" if len(value) > 1 else ""
        return f"{_words(differs, None, detail)}{more}"
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        size: Any = value.get("bytes")
        changed: Any = value.get("changed")
        words = []
        if is_count(size):  # of a stream, and of one under way, it is left out
            words.append(f"{size:,} bytes" if detail == "exact" else format_size(size))
        if detail != "size" and is_count(changed) and changed < _YEAR_9999:
            when = datetime.fromtimestamp(changed / 1e9).astimezone()
            micro = f".{when:%f}" if detail == "exact" else ""
            words.append(f"changed {when:%Y-%m-%d %H:%M:%S}{micro}")
        return printable(value["path"]) + (f" ({', '.join(words)})" if words else "")
    return json.dumps(value)


def write_all(fd: int, data: memoryview) -> None:
    """Write all of `data`: a disk that is nearly full takes a part first, and only then refuses."""
    while data:
        data = data[os.write(fd, data) :]


def disk_error(error: OSError, file: Path) -> OomguardError:
    """What a disk that refuses means for the run."""
    return BadInput(
        f"could not write {file}: {error.strerror}",
        do=f"{'make room' if error.errno in _FULL else 'see what is wrong with the disk (dmesg | tail)'}, then {AGAIN}",
    )
