"""Where the files of a job are: in a folder that all machines see, or in a bucket; and what differs between the two.

What both have is what is used of them as of a path: a name, /, exists, read_text, glob. Here is the rest.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shlex
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from oomguard.errors import BadInput
from oomguard.kernel import safe_files
from oomguard.kernel.storage import is_in_memory, scratch_folder
from oomguard.preparation.cluster.claims import Claim
from oomguard.preparation.cluster.s3_place import S3Claim, S3Place, require_conditions
from oomguard.preparation.preconditions import require_folder
from oomguard.preparation.writing.manifest import STATE_FOLDER, disk_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

JobPlace: TypeAlias = "Path | S3Place"
_LAYING = "laying-"  # begins the name of a folder for temporary files
_LARGEST = 1 << 30  # bytes: what a job of ten million units says
_SCRATCH = "oomguard-to-bucket-"
_STORE = "s3:"  # a Path has one slash of two


class Ranges(Protocol):
    """A file that is read here and there."""

    size: int

    def read_at(self, start: int, size: int) -> bytes:
        """Give a stretch, shorter only at the file's end."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class FileRanges:
    """A file of a folder."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises: OSError."""
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        self.size = os.fstat(self._fd).st_size

    def read_at(self, start: int, size: int) -> bytes:
        """Give a stretch; it is not kept in the page cache, which counts against the budget. Raises: OSError."""
        data = os.pread(self._fd, size, start)
        os.posix_fadvise(self._fd, start, size, os.POSIX_FADV_DONTNEED)
        return data

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


def place_of(path: Path) -> JobPlace:
    """What a path means: s3:/BUCKET/KEY, as a path has it, is an address. Raises: BadInput if it has a password."""
    if not is_in_store(path):
        return path
    return S3Place.of(f"s3://{str(path).removeprefix(_STORE).lstrip('/')}")


def state_of(out: JobPlace) -> Any:
    """The folder of what is beside the shards, a JobPlace as well."""
    return out / STATE_FOLDER


def is_in_store(path: Path) -> bool:
    """Whether it is an address, and no path of this machine."""
    return str(path) == _STORE or str(path).startswith(f"{_STORE}/")


def absolute(path: Path) -> str:
    """So that it means the same to all machines."""
    return str(place_of(path)) if is_in_store(path) else str(path.absolute())


def out_of_job(out: Path) -> Path:
    """The output of a job, so that it means the same to all machines. Raises: BadInput if it cannot be one."""
    if not is_in_store(out):
        require_folder(out)
    return Path(absolute(out))


def make_parts(parts: JobPlace) -> None:
    """Make the folder for the parts of a job; a bucket has to keep an object that is there.

    Raises: BadInput.
    """
    if isinstance(parts, S3Place):
        require_conditions(parts / f".{secrets.token_hex(8)}.probe")  # of its own: another may plan the same job
        return
    try:
        safe_files.make_folder(parts)
    except OSError as error:
        raise disk_error(error, parts) from error


def names_in(place: JobPlace) -> set[str]:
    """The names in a folder. Raises: OSError; OomguardError."""
    if isinstance(place, S3Place):
        return place.names()
    return {entry.name for entry in os.scandir(place)}


def read_small(file: JobPlace, most: int) -> bytes:
    """Give a file of `most` bytes at most whole. Raises: OSError; OomguardError."""
    return file.read_bytes() if isinstance(file, S3Place) else safe_files.read_there(file, most)


def read_json(file: JobPlace) -> Any:
    """Read what replace_text() has written. Raises: OSError; ValueError; OomguardError."""
    return json.loads(read_small(file, _LARGEST))


def replace_text(file: JobPlace, text: str) -> None:
    """Write a small file whole, in place of one that may be there. Raises: BadInput if the disk refuses."""
    if isinstance(file, S3Place):
        file.write_text(text)
        return
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        _write_new(temporary, text)
        safe_files.rename(temporary, file)
        safe_files.sync_folder(file.parent)
    except OSError as error:
        raise disk_error(error, file) from error


def write_new(file: JobPlace, text: str) -> bool:
    """Write a small file; False: there is one, and it stays. Raises: BadInput if the disk refuses."""
    if isinstance(file, S3Place):
        return file.create(text)
    try:
        _write_new(file, text)
    except FileExistsError:
        return False
    except OSError as error:
        raise disk_error(error, file) from error
    return True


def _write_new(path: Path, text: str) -> None:
    with os.fdopen(safe_files.create(path), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def commit(temporary: Path, final: JobPlace) -> bool:
    """Give a file on disk its name; False: it is taken, and what bears it stays. Raises: OSError; BadInput."""
    if isinstance(final, S3Place):
        return final.commit(temporary)
    is_first = _give_name(temporary, final)
    safe_files.sync_folder(final.parent)
    return is_first


def _give_name(temporary: Path, final: Path) -> bool:
    """A name that is taken stays: a link is refused there, where a rename would replace."""
    try:
        safe_files.link(temporary, final)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        safe_files.rename(temporary, final)  # a file system without links; two such files are the same bytes
    return True


def remove(file: JobPlace) -> None:
    """Take a file away; harmless where there is none. Raises: OSError; OomguardError."""
    if isinstance(file, S3Place):
        file.unlink()
    else:
        safe_files.unlink(file)


def removal(file: JobPlace) -> str:
    """The command that takes a file away."""
    return f"{'aws s3 rm' if isinstance(file, S3Place) else 'rm'} {shlex.quote(str(file))}"


def removal_of_all(folder: JobPlace, pattern: str) -> str:
    """The command that takes all files of a pattern away, and is content with none."""
    name = shlex.quote(str(folder))
    if isinstance(folder, S3Place):
        return f"aws s3 rm --recursive {name} --exclude '*' --include '{pattern}'"
    return f"find {name} -maxdepth 1 -name '{pattern}' -delete"


def open_ranges(file: JobPlace) -> Ranges:
    """Open a file to be read here and there. Raises: OSError; OomguardError."""
    return file.ranges() if isinstance(file, S3Place) else FileRanges(file)


def claim_of(file: JobPlace) -> Claim:
    """The claim that a file is."""
    return S3Claim(file) if isinstance(file, S3Place) else Claim(file)


@contextmanager
def folder_here(out: Path) -> Iterator[Path]:
    """The output folder, or where it is a bucket, a folder of this machine in its place that is removed in the end.

    Raises: BadInput if that cannot be made, or is memory.
    """
    if not is_in_store(out):
        yield out
        return
    where = tempfile.gettempdir()
    what = f"{where} is memory (tmpfs), and what goes to a bucket is first written there"
    if is_in_memory(Path(where)):
        raise BadInput(what, do="TMPDIR=FOLDER, on a disk, before the same command")
    with ExitStack() as stack:
        try:
            made = stack.enter_context(scratch_folder(Path(where), _SCRATCH))[0] / "out"
            state_of(made).mkdir(parents=True)
        except OSError as error:
            raise disk_error(error, Path(where)) from error
        yield made


@contextmanager
def laying_folder(parts: JobPlace, out: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Give a folder for temporary files, and what keeps it from being taken for a dead worker's; `out` is here."""
    if isinstance(parts, S3Place):
        yield state_of(out), lambda: None
        return
    state = parts / f"{_LAYING}{secrets.token_hex(8)}"
    own = _claim_of_folder(state)
    own.take()
    safe_files.make_folder(state)
    try:
        yield state, own.keep
    finally:
        safe_files.remove_tree(state)
        own.give_up()


def remove_laying_folders(parts: JobPlace) -> None:
    """Those of workers that have ended."""
    for folder in () if isinstance(parts, S3Place) else parts.glob(f"{_LAYING}*/"):
        if _claim_of_folder(folder).is_stale():
            safe_files.remove_tree(folder)


def _claim_of_folder(state: Path) -> Claim:
    return Claim(state.with_name(f"{state.name}.claim"))
