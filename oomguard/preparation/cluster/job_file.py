"""`job.json`: a job that was planned once, so that any machine can do a unit of it.

It holds the options, each source as it was found (path, size, times), the units, and what the tokenizer is. Its sha256
names the job: parts carry it, so that none of another job is ever laid out among its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import stat
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, Changed, NothingFound
from oomguard.kernel import safe_files
from oomguard.preparation.cluster.units import Unit
from oomguard.preparation.encoding.unicode_probe import tiktoken_unicode
from oomguard.preparation.options import PrepareOptions, resolve_options
from oomguard.preparation.reading.source import Part, Source
from oomguard.preparation.writing.manifest import STATE_FOLDER, disk_error
from oomguard.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.preparation.options import ResolvedOptions

SCHEMA = "oomguard.job/1"
_LARGEST = 1 << 30  # bytes of a job's file: some ten million units
_LARGEST_NOTE = 1 << 10
_LISTED = 5  # units that are missing
_BYTES_PER_TOKEN = 4
_SHARDS_OF_A_SHARE = 4  # a process that writes fewer takes longer to start than to write
_PARTS = "parts"
_SEEN = "job"  # in the folder of parts: by it a machine knows that it sees the same folder
_FINISHED = "finished"  # there too: the shards are laid out, and the parts gone
_NOT_PLANNED = ("restart", "workers", "shuffle")  # of the options: they are of one run; a job is never shuffled


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFile:
    """A planned job."""

    options: PrepareOptions
    sources: tuple[Source, ...]
    units: tuple[Unit, ...]
    encoding: Any  # what tells the tokenizer: EncodingSpec.identity()
    unicode: str | None
    sha256: str
    notes: tuple[str, ...] = ()  # of how the sources were found
    path: Path | None = None  # where it was read from

    @property
    def shown(self) -> str:
        """Its file, as it is typed."""
        return shlex.quote(printable(str(self.path or "job.json")))

    def require_done(self) -> None:
        """Raises: NothingFound if units are missing, with their numbers."""
        missing = self.missing()
        if missing:
            numbers = ", ".join(map(str, missing[:_LISTED])) + (" ..." if len(missing) > _LISTED else "")
            raise NothingFound(
                f"{len(missing):,} of {len(self.units):,} units are not done: {numbers}",
                do=f"oomguard work {self.shown} --unit {missing[0]} (without --unit it does all that are left)",
            )

    @property
    def parts(self) -> Path:
        """The folder of what has been encoded."""
        return self.options.out / STATE_FOLDER / _PARTS

    def part_file(self, number: int) -> Path:
        """Where the tokens of a unit are, once it is done."""
        return self.parts / f"{number:07d}.part"

    def laid_file(self, number: int) -> Path:
        """What is left of a part when its tokens are in shards: that it is done, and its counts."""
        return self.parts / f"{number:07d}.laid"

    def source_of(self, unit: Unit) -> Source:
        """The part of a source that a unit is."""
        return replace(self.sources[unit.source], part=unit.part)

    def shares(self, most: int) -> int:
        """Into how many shares its shards are worth dividing, by what the size of the input lets expect."""
        full = resolve_options(self.options).layout.shard_tokens
        tokens = sum(source.size or 0 for source in self.sources) // _BYTES_PER_TOKEN
        return 1 if full is None else max(1, min(most, tokens // full // _SHARDS_OF_A_SHARE))

    def resolve(self) -> ResolvedOptions:
        """The options with every default filled in.

        Raises: Changed if the tokenizer is another one here; OomguardError as `prepare` does.
        """
        resolved = resolve_options(self.options)
        if json.loads(json.dumps(resolved.spec.identity())) != self.encoding:
            raise Changed(
                f"{resolved.spec.name}: the tokenizer on this machine is not the one that the job was planned with",
                do="give all machines the same file, or plan the job again",
            )
        if tiktoken_unicode() != self.unicode:
            raise Changed(
                f"tiktoken knows Unicode {tiktoken_unicode()} here, and {self.unicode} where the job was planned",
                do="install the same tiktoken on all machines",
            )
        return resolved

    def missing(self) -> list[int]:
        """The units that are not done yet."""
        try:
            there = {entry.name for entry in os.scandir(self.parts)}
            if self.is_finished:
                return []
        except OSError as error:
            shown = printable(str(self.parts))
            raise BadInput(f"{shown} cannot be read: {error.strerror}", do=f"ls -ld {shown}") from error
        numbers = range(len(self.units))
        return [each for each in numbers if f"{each:07d}.part" not in there and f"{each:07d}.laid" not in there]

    @property
    def is_finished(self) -> bool:
        """Whether the shards are laid out, and noted."""
        try:
            return safe_files.read_there(self.parts / _FINISHED, _LARGEST_NOTE) == self.sha256.encode()
        except FileNotFoundError:
            return False

    def note_finished(self) -> None:
        """Note that the shards are laid out: no unit is missing any more. Raises: BadInput if the disk refuses."""
        replace_text(self.parts / _FINISHED, self.sha256)

    def require_same_folder(self) -> None:
        """See to it that this machine has the folder that the job's parts go to.

        Raises: BadInput.
        """
        try:
            seen = safe_files.read_there(self.parts / _SEEN, _LARGEST_NOTE)
        except OSError:
            seen = b""
        if seen != self.sha256.encode():
            raise BadInput(
                f"{printable(str(self.options.out))} here is not the folder that this job was planned for",
                do="plan it with --out FOLDER on a file system that all machines share, mounted at the same place",
            )


def job_within(out: Path) -> Path:
    """Where the job is that an output folder has to itself."""
    return out.absolute() / STATE_FOLDER / "job.json"


def write_job(job: JobFile, path: Path) -> JobFile:
    """Write a new file, and the folder for the job's parts; gives the job with its sha256.

    Raises: BadInput if the file exists: it is never replaced; or if the disk refuses.
    """
    body = _body(job)
    digest = _digest(body)
    job = replace(job, sha256=digest)
    data = json.dumps({**body, "sha256": digest}, separators=(",", ":")) + "\n"
    try:
        safe_files.make_folder(job.parts)
        _write_new(path, data)
    except FileExistsError as error:
        raise BadInput(
            f"{printable(str(path))} exists, and a planned job is never replaced",
            do="--job-file with another name; or continue that job: oomguard prepare --job FILE",
        ) from error
    except OSError as error:
        raise disk_error(error, path) from error
    replace_text(job.parts / _SEEN, job.sha256)
    return job


def job_digest(job: JobFile) -> str:
    """The sha256 that a planned job has, once it is written."""
    return _digest(_body(job))


def replace_text(file: Path, text: str) -> None:
    """Write a small file whole, in place of one that may be there. Raises: BadInput if the disk refuses."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        _write_new(temporary, text)
        safe_files.rename(temporary, file)
        safe_files.sync_folder(file.parent)
    except OSError as error:
        raise disk_error(error, file) from error


def read_json(file: Path) -> Any:
    """Read what replace_text() has written. Raises: OSError; ValueError; NotOurs."""
    return json.loads(safe_files.read_there(file, _LARGEST))


def _write_new(path: Path, text: str) -> None:
    with os.fdopen(safe_files.create(path), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_job(path: Path) -> JobFile:
    """Read a planned job. Raises: BadInput if it is none, or damaged."""
    shown = printable(str(path))
    try:
        # O_NONBLOCK: a pipe of that name is not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadInput(f"{shown} is not a regular file", do=f"ls -l {shown}")
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise BadInput(f"{shown} cannot be read: {error.strerror}", do="oomguard prepare ... --job-only") from error
    if len(data) > _LARGEST:
        raise BadInput(f"{shown} is too large for a job", do="oomguard prepare ... --job-only makes one")
    try:
        body = json.loads(data)
        digest = body.pop("sha256")
        if body.pop("schema") != SCHEMA:
            raise ValueError(SCHEMA)  # noqa: TRY301 - one answer to all that is wrong
        job = replace(_job(body, digest), path=path)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"{shown} is not a job file of this oomguard", do="oomguard prepare ... --job-only makes one"
        ) from error
    if _digest({"schema": SCHEMA, **body}) != digest:
        raise BadInput(f"{shown} was changed since it was written: its sha256 is another", do="plan the job again")
    return job


def _body(job: JobFile) -> dict[str, Any]:
    options = asdict(job.options)
    for name in _NOT_PLANNED:
        del options[name]
    return {
        "schema": SCHEMA,
        "options": {**options, "out": str(job.options.out)},
        "encoding": job.encoding,
        "unicode": job.unicode,
        "sources": [{key: value for key, value in asdict(source).items() if key != "part"} for source in job.sources],
        "units": [[unit.source, unit.part.begin, unit.part.end] if unit.part else [unit.source] for unit in job.units],
        "notes": list(job.notes),
    }


def _digest(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _job(body: dict[str, Any], digest: str) -> JobFile:
    names = {field.name for field in fields(PrepareOptions)}
    if not body["options"].keys() <= names or not isinstance(digest, str):
        raise ValueError(names)
    sources = tuple(Source(**source) for source in body["sources"])
    units = tuple(Unit(int(source), Part(*map(int, part)) if part else None) for source, *part in body["units"])
    if not all(0 <= unit.source < len(sources) for unit in units):
        raise ValueError(len(sources))
    return JobFile(
        options=PrepareOptions(**{**body["options"], "inputs": tuple(body["options"]["inputs"])}),
        sources=sources,
        units=units,
        encoding=body["encoding"],
        unicode=body["unicode"],
        sha256=digest,
        notes=tuple(body["notes"]),
    )
