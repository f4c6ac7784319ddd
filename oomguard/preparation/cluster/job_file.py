"""`job.json`: a job that was planned once, so that any machine can do a unit of it.

It holds the options, each source as it was found (path, size, times), the units, and what the tokenizer is. Its sha256
names the job: parts carry it, so that none of another job is ever laid out among its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput, Changed, NothingFound
from oomguard.preparation.cluster.job_place import (
    absolute,
    folder_here,
    is_in_store,
    make_parts,
    names_in,
    place_of,
    read_small,
    replace_text,
    state_of,
    write_new,
)
from oomguard.preparation.cluster.units import Unit
from oomguard.preparation.encoding.load_engine import tiktoken_unicode
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.reading.source import Part, Source
from oomguard.preparation.resolving import resolve_options
from oomguard.text import printable, shell_word

if TYPE_CHECKING:
    from contextlib import ExitStack

    from oomguard.preparation.cluster.job_place import JobPlace
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
    out: JobPlace = field(init=False, repr=False, compare=False)  # where its shards go

    def __post_init__(self) -> None:
        """Look where that is."""
        object.__setattr__(self, "out", place_of(self.options.out))

    @property
    def shown(self) -> str:
        """Its file, as it is typed."""
        return shown_path(self.path or Path("job.json"))

    @property
    def is_in_store(self) -> bool:
        """Whether its shards go to a bucket, and not to a folder."""
        return is_in_store(self.options.out)

    def require_unit(self, number: int) -> None:
        """Raises: BadInput if there is no unit of this number."""
        if not 0 <= number < len(self.units):
            count = len(self.units)
            raise BadInput(f"--unit {number}: the job has only {count:,} units", do=f"--unit 0 to --unit {count - 1}")

    def require_done(self) -> None:
        """Raises: NothingFound if units are missing, with their numbers."""
        missing = self.missing()
        if missing:
            numbers = ", ".join(map(str, missing[:_LISTED])) + (" ..." if len(missing) > _LISTED else "")
            raise NothingFound(
                f"{len(missing):,} of {len(self.units):,} units are not done: {numbers}",
                do=f"oomguard work {self.shown} --unit {missing[0]} (without --unit it does all that are left)",
            )

    def options_here(self, stack: ExitStack) -> PrepareOptions:
        """The options with a folder of this machine for the output, which `stack` removes where that is a bucket.

        Raises: BadInput if it cannot be made.
        """
        return replace(self.options, out=stack.enter_context(folder_here(self.options.out)))

    def note(self, name: str, text: str) -> None:
        """Write a small file beside the parts, in place of one that may be there. Raises: BadInput."""
        replace_text(self.parts / name, text)

    @property
    def state(self) -> Any:
        """The folder of what is beside the shards, a JobPlace."""
        return state_of(self.out)

    @property
    def parts(self) -> Any:
        """The folder of what has been encoded, a JobPlace."""
        return self.state / _PARTS

    def part_file(self, number: int) -> Any:
        """Where the tokens of a unit are, once it is done, a JobPlace."""
        return self.parts / f"{number:07d}.part"

    def laid_file(self, number: int) -> Any:
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
        if _known_by(resolved) != self.encoding:
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
            there = names_in(self.parts)
            if _FINISHED in there and self.is_finished:
                return []
        except OSError as error:
            shown = printable(str(self.parts))
            raise BadInput(
                f"{shown} cannot be read: {error.strerror}", do=f"ls -ld {shell_word(str(self.parts))}"
            ) from error
        numbers = range(len(self.units))
        return [each for each in numbers if f"{each:07d}.part" not in there and f"{each:07d}.laid" not in there]

    def is_done(self, number: int) -> bool:
        """Whether a unit is done."""
        return self.part_file(number).exists() or self.laid_file(number).exists() or self.is_finished

    @property
    def is_finished(self) -> bool:
        """Whether the shards are laid out, and noted."""
        try:
            return bool(read_small(self.parts / _FINISHED, _LARGEST_NOTE) == self.sha256.encode())
        except FileNotFoundError:
            return False

    def note_finished(self) -> None:
        """Note that the shards are laid out: no unit is missing any more. Raises: BadInput if the disk refuses."""
        self.note(_FINISHED, self.sha256)

    def require_same_folder(self) -> None:
        """See to it that this machine has the folder that the job's parts go to.

        Raises: BadInput.
        """
        try:
            seen = read_small(self.parts / _SEEN, _LARGEST_NOTE)
        except OSError:
            seen = b""
        if seen != self.sha256.encode():
            do = "plan it with --out FOLDER on a file system that all machines share, mounted at the same place"
            if self.is_in_store:
                do = "check AWS_ENDPOINT_URL and AWS_PROFILE; or plan it again, with another --out"
            raise BadInput(f"{printable(str(self.out))} here is not the folder that this job was planned for", do=do)


def new_job(
    options: PrepareOptions,
    resolved: ResolvedOptions,
    sources: tuple[Source, ...],
    units: tuple[Unit, ...],
    *,
    notes: tuple[str, ...],
) -> JobFile:
    """A job that is in no file yet, with what tells its tokenizer from any other."""
    return JobFile(
        options=options,
        sources=sources,
        units=units,
        encoding=_known_by(resolved),
        unicode=tiktoken_unicode(),
        sha256="",
        notes=notes,
    )


def _known_by(resolved: ResolvedOptions) -> Any:
    """The tokenizer's identity as JSON gives it back."""
    return json.loads(json.dumps(resolved.spec.identity()))


def job_within(out: Path) -> Path:
    """Where the job is that an output folder has to itself."""
    return Path(state_of(Path(absolute(out)))) / "job.json"


def shown_path(path: Path) -> str:
    """A path or an address, as it is typed."""
    return shell_word(str(place_of(path)))


def write_job(job: JobFile, path: Path) -> JobFile:
    """Write a new file, and the folder for the job's parts; gives the job with its sha256.

    Raises: BadInput if the file exists: it is never replaced; or if the disk refuses.
    """
    body = _body(job)
    digest = _digest(body)
    job = replace(job, sha256=digest)
    data = json.dumps({**body, "sha256": digest}, separators=(",", ":")) + "\n"
    file = place_of(path)
    make_parts(job.parts)
    if not write_new(file, data):
        raise BadInput(
            f"{printable(str(file))} exists, and a planned job is never replaced",
            do="--job-file with another name; or continue that job: oomguard prepare --job FILE",
        )
    job.note(_SEEN, job.sha256)
    return job


def job_digest(job: JobFile) -> str:
    """The sha256 that a planned job has, once it is written."""
    return _digest(_body(job))


def read_job(path: Path) -> JobFile:
    """Read a planned job. Raises: BadInput if it is none, or damaged."""
    shown = printable(str(place_of(path)))
    try:
        data = _read_whole(place_of(path))
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
        raise BadInput(f"{shown} has been changed since it was written: its sha256 differs", do="plan the job again")
    return job


def _read_whole(file: JobPlace) -> bytes:
    if not isinstance(file, Path):
        return file.read_bytes()
    # O_NONBLOCK: a pipe of that name is not waited for.
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise BadInput(f"{printable(str(file))} is not a regular file", do=f"ls -l {shell_word(str(file))}")
        return opened.read(_LARGEST + 1)


def _body(job: JobFile) -> dict[str, Any]:
    options = asdict(job.options)
    for name in _NOT_PLANNED:
        del options[name]
    return {
        "schema": SCHEMA,
        "options": {**options, "out": str(job.out)},
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
