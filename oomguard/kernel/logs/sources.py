"""The logs of this machine: where a kill may be told of, which of them may be read, and what is in them."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, NeedsPrivilege, NothingFound
from oomguard.formats.kernel_log import OomEvent
from oomguard.formats.kernel_log.log_stream import find_in_blocks
from oomguard.kernel.logs.files import BLOCK, SYSTEM_PATH, read_log, read_stdin
from oomguard.kernel.logs.kmsg import open_kmsg, read_records
from oomguard.kernel.model import LogSource
from oomguard.text import shell_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MOST_FILES = 1000  # of a folder: the newest
_JOURNAL_FIELDS = "MESSAGE,_TRANSPORT,SYSLOG_IDENTIFIER,_PID,__REALTIME_TIMESTAMP,_SOURCE_MONOTONIC_TIMESTAMP"
_IDENTIFIERS = ("systemd", "unknown")  # beside those of the killers
_LOG_NAMES = ("kern.log", "messages", "syslog")
_MAY_READ_JOURNAL = "sudo usermod -aG systemd-journal $USER   # then log in again; or run this with sudo"
_JOURNALS = ("/var/log/journal", "/run/log/journal")


@dataclass(frozen=True, slots=True)
class Readable:
    """A source and how to read it. `read` gives blocks and raises what read_log() raises."""

    source: LogSource
    read: Callable[[], Iterator[bytes]]


def survey_sources(root: Path = Path("/")) -> list[LogSource]:
    """Say which logs there are, newest first, and of each that may not be read why, and what would help.

    Raises: nothing.
    """
    return [readable.source for readable in find_sources(root)]


def find_sources(root: Path = Path("/"), identifiers: Sequence[str] = ()) -> list[Readable]:
    """Find every log of this machine, newest first. `identifiers`: whose lines in the journal are read.

    Raises: nothing.
    """
    return [
        *_kmsg(root),
        *_journal(root, "0", "this boot", identifiers),
        *_journal(root, "-1", "the boot before", identifiers),
        *_files(root),
    ]


def kernel_kills_since(began: float, root: Path = Path("/")) -> list[OomEvent]:
    """The kernel's kills since then (seconds since 1970) that its log still holds, oldest first.

    For a parent whose child was killed a moment ago. Raises: nothing; where the log may not be read it is empty.
    """
    booted = boot_epoch()
    found = [finding for readable in _kmsg(root) for finding in find_in_blocks(readable.read())]
    kills = [finding for finding in found if isinstance(finding, OomEvent) and finding.time]
    # A second: the kernel's clock and the system's drift apart.
    return [kill for kill in kills if kill.time and booted + (kill.time.monotonic or 0) > began - 1]


def named_sources(logs: Sequence[str]) -> list[Readable]:
    """The logs that the user named, newest first; "-" is standard input, a folder all files in it.

    Raises: NothingFound for a folder without a file.
    """
    found: list[tuple[float, Readable]] = []
    for log in logs:
        if log == "-":
            found.append((math.inf, Readable(LogSource(name="stdin", what="standard input"), read_stdin)))
        elif os.path.isdir(log):  # noqa: PTH112 - of what the user wrote, which is shown as it is
            found += _in_folder(Path(log))
        else:
            found.append((_changed(Path(log)), _named(log)))
    return [readable for _, readable in sorted(found, key=lambda item: -item[0])]


def _named(log: str) -> Readable:
    return Readable(LogSource(name="file", what=log, named=True), lambda: read_log(Path(log)))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _in_folder(folder: Path) -> list[tuple[float, Readable]]:
    """All files in a folder and below it, newest first, and no more than can be meant."""
    try:
        paths = [path for path in itertools.islice(folder.rglob("*"), 100_000) if path.is_file()]
    except OSError as error:
        raise BadInput(f"could not list {folder}: {error.strerror}", do=f"ls -lR {shell_word(str(folder))}") from error
    if not paths:
        raise NothingFound(
            f"no file in the folder {folder}", do="oomguard diagnose  # without FILE: this machine's own logs"
        )
    newest = sorted(((_changed(path), str(path)) for path in paths), reverse=True)[:_MOST_FILES]
    return [(changed, _named(path)) for changed, path in newest]


def boot_epoch() -> float:
    """When this machine was booted, by the clock of the kernel's own time stamps."""
    return time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)


def _kmsg(root: Path) -> list[Readable]:
    path = root / "dev/kmsg"
    source = LogSource(name="kmsg", what="the kernel's log (dmesg)", covers="this boot")
    refused = replace(source, unread="it may not be read", do="sudo $(command -v oomguard) diagnose")
    try:
        os.close(open_kmsg(path))
    except PermissionError:
        return [Readable(refused, _nothing)]
    except OSError:
        unread = replace(source, unread="not there, as in most containers", do="run this on the host")
        return [Readable(unread, _nothing)]
    return [Readable(source, lambda: _read_kmsg(path))]


def _read_kmsg(path: Path) -> Iterator[bytes]:
    """Give what is in the kernel's ring now, in blocks."""
    fd = open_kmsg(path)
    held: list[bytes] = []
    size = 0
    try:
        for record in read_records(fd):
            held.append(record)
            size += len(record)
            if size > BLOCK:
                yield b"".join(held)
                held, size = [], 0
    finally:
        os.close(fd)
    yield b"".join(held)


def _journal(root: Path, boot: str, covers: str, identifiers: Sequence[str]) -> list[Readable]:
    if root != Path("/"):
        return []  # another machine's journal is read with --log
    program = shutil.which("journalctl", path=SYSTEM_PATH)
    if program is None:
        return []
    what = "the journal of this boot" if boot == "0" else "the journal of the boot before"
    source = LogSource(name="journal", what=what, covers=covers)
    may_read = _may_read_journal()
    if may_read is None:
        return []
    if not may_read:
        return [Readable(replace(source, unread="you may read only your own entries", do=_MAY_READ_JOURNAL), _nothing)]
    matches = [
        "_TRANSPORT=kernel",
        *(word for name in (*_IDENTIFIERS, *identifiers) for word in ("+", f"SYSLOG_IDENTIFIER={name}")),
    ]
    command = [
        program,
        "--no-pager",
        "--quiet",
        f"--boot={boot}",
        "--output=json",
        f"--output-fields={_JOURNAL_FIELDS}",
        *matches,
    ]
    return [Readable(source, lambda: _read_command(command))]


def _may_read_journal() -> bool | None:
    """Whether a file of the system's journal opens: journalctl shows what it may, and only hints at the rest.

    None: there is none.
    """
    files = [file for folder in _JOURNALS for file in Path(folder).glob("*/system*.journal")]
    if not files and all(os.access(folder, os.R_OK) or not Path(folder).exists() for folder in _JOURNALS):
        return None
    return any(os.access(file, os.R_OK) for file in files)


def _read_command(command: list[str]) -> Iterator[bytes]:
    environment = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as running:
        assert running.stdout is not None
        try:
            while block := running.stdout.read(BLOCK):
                yield block
        finally:
            running.stdout.close()
            with contextlib.suppress(OSError):
                running.terminate()


def _files(root: Path) -> list[Readable]:
    """Log files with their rotations, newest first."""
    found = []
    for name in _LOG_NAMES:
        for path in (root / "var/log").glob(f"{name}*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    found.append((path.stat().st_mtime, path))
    return [_file(path) for _, path in sorted(found, key=lambda item: (-item[0], str(item[1])))]


def _file(path: Path) -> Readable:
    source = LogSource(name="file", what=str(path))
    if not os.access(path, os.R_OK):
        return Readable(
            replace(source, unread="it may not be read", do=f"sudo $(command -v oomguard) diagnose '{path}'"), _nothing
        )
    return Readable(source, lambda: read_log(path))


def _nothing() -> Iterator[bytes]:
    return iter(())


def reading_error(error: Exception) -> str:
    """Why a source that was there could not be read after all."""
    return str(error) if isinstance(error, BadInput | NeedsPrivilege | NothingFound) else type(error).__name__
