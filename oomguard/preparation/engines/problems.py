"""What stops a run, or takes the place of a chunk: what is wrong with the input, or does not fit, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oomguard import errors
from oomguard.errors import BadInput, BudgetTooSmall, OomguardError, WorkerFailed
from oomguard.preparation.engines.memory_sum import LINE_COST
from oomguard.preparation.reading.no_text import known_by, no_text_inside
from oomguard.records import dataclass
from oomguard.text import printable, shell_word
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from oomguard.preparation.engines.messages import Encoded
    from oomguard.preparation.engines.work import Work
    from oomguard.preparation.job import Job

    Failure = Callable[[int], OomguardError]  # the number of the next line -> what is wrong

_HEAD_BYTES = 4096  # an error this near to the beginning is in the first stretch
_PROBLEMS = {
    "separator": (
        "leaving out bytes that are not UTF-8, here or soon after, would create a separator",
        "--errors replace (puts U+FFFD in its place)",
    ),
    "engine": (
        "tiktoken cannot encode this text (a very long run of white space), but the native core can",
        "install oomguard where its native core can be built",
    ),
}


class LineTooLong(Exception):
    """A line is longer than what fits; carries its bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True, slots=True)
class Fault:
    """What stands in the place of a chunk: an error, and the source that it is about."""

    source: int
    make: Failure


def text_error(job: Job, work: Work, encoded: Encoded, *, documents: int | None, line: int) -> OomguardError:
    """What a worker found wrong with a text."""
    where = work.where(encoded.error_at, None if documents is None else documents + encoded.error_documents, line)
    file = shell_word(job.sources[work.source].path)
    if encoded.error == "input":
        do = job.sources[work.source].line_for(encoded.error_do)
        if job.sources[work.source].kind == "tar" and "--input-format" in do:  # which is of the whole input
            do = f"tar -xf {file}, and name the extracted files"
        return BadInput(f"{where}: {encoded.error_text}", do=do)
    if encoded.error == "utf8":
        return _not_utf8(job, work, encoded, where)
    if encoded.error == "not text":
        what, do = (
            f"{where}: full of zero bytes, as an interrupted download leaves them, not text",
            "download the file again; if the zeros are meant: "
            + job.sources[work.source].line_for("tr -d '\\0' < FILE | oomguard prepare -"),
        )
        if encoded.error_text == "tar":
            what, do = f"{where}: a tar archive, not plain text", "--input-format tar"
        elif encoded.error_text != "zeros":
            what, do = (
                f"{where}: not UTF-8: it looks like {encoded.error_text}",
                (f"--input-encoding {encoded.error_text}"),
            )
        return BadInput(what, do=do)
    if encoded.error == "differs":
        return WorkerFailed(
            f"{where}: the core and {job.resolved.spec.reference} do not agree: {encoded.error_text}",
            do="please report it with the text from there; OOMGUARD_ENGINE=tiktoken does without the core",
        )
    what, do = _PROBLEMS.get(
        encoded.error or "", (encoded.error_text, "check the file, then run the same command again")
    )
    return BadInput(f"{where}: {what}", do=do)


def _not_utf8(job: Job, work: Work, encoded: Encoded, where: str) -> BadInput:
    source = job.sources[work.source]
    if work.task.kind == "text" and work.task.starts_document and encoded.error_at < _HEAD_BYTES:
        if inside := no_text_inside(source):
            return inside
        start = bytes.fromhex(encoded.error_text) if encoded.error_at == 0 else b""  # further on: only wrong bytes
        if known := known_by(start, source):
            do = known[1].replace("FILE", shell_word(source.path))
            return BadInput(f"{where}: this is {known[0]}, not plain UTF-8 text", do=do)
    return BadInput(
        f"{where}: not UTF-8",
        do="--input-encoding NAME if it is written in another encoding (latin-1, gbk, ...); --errors replace "
        "(puts U+FFFD in its place) or --errors skip (leaves it out); both resume from here",
    )


def room_error(job: Job, work: Work, *, documents: int | None, line: int) -> OomguardError:
    """A chunk takes more memory than there is, even when it is alone."""
    where, size = work.where(0, documents, line), format_size(work.task.size)
    what = f"a document of {size}"
    if work.is_word or work.task.kind == "text":
        what = f"a word within {size} of text, which cannot be cut without changing tokens,"
    elif work.task.kind == "rows":
        what = f"the page from there on, with {size} of text,"
    return BudgetTooSmall(
        f"{where}: {what} needs {format_size(work.needs)} of memory at once, and {format_size(job.budget.alone)} "
        "is free",
        do=f"{job.flag_with_room(work.needs)}, or look at the file: such text is rarely meant to be there",
    )


def line_too_long(job: Job, source: int, size: int) -> Failure:
    """A line takes more memory than there is."""
    name, plan, need = printable(job.sources[source].path), job.budget, format_size(LINE_COST * size)

    def failure(line: int) -> OomguardError:
        return BudgetTooSmall(
            f"{name}: line {line} is {format_size(size)} long and needs {need} of memory to read; "
            f"the longest that fits here is {format_size(plan.largest_document)}",
            do=f"{job.flag_with_room(LINE_COST * size)}, or remove line {line}",
        )

    return failure


def chunk_failed(
    job: Job, work: Work, where: str, *, oom_kills: int, attempts: int, status: int | None
) -> OomguardError:
    """A chunk whose worker has ended each time, with this exit status the last time."""
    if oom_kills:
        return BudgetTooSmall(
            f"{where}: the {format_size(work.task.size)} there do not fit in the budget "
            f"({oom_kills} processes were ended by the kernel)",
            do=f"--max-rss {2 * job.budget.budget // MIB}M",
        )
    return WorkerFailed(
        f"{where}: the worker ended {attempts} times (exit status {status})",
        do="its message is above; please report it with the text from there",
    )


def reader_error(job: Job, error: dict[str, Any]) -> OomguardError:
    """What the stream reader, or a worker that looked for columns or rows, found wrong."""
    if error.get("alone"):
        flag = job.flag_with_room(error["alone"])
        return BudgetTooSmall(error["what"], do=f"{flag}, or remove it; what was done so far is kept")
    return getattr(errors, error["class"], OomguardError)(error["what"], do=error["do"])


def reader_refused(job: Job, size: int, where: str) -> dict[str, str]:
    """What the stream reader is told where what it needs is not there."""
    return {
        "refused": f"{where}: needs {format_size(size)} of memory at once, and {format_size(job.budget.alone)} "
        f"of the budget of {format_size(job.budget.budget)} is free",
        "do": f"{job.flag_with_room(size)}; what was done so far is kept",
    }


def reader_ended(job: Job, source: int, numbered: int, *, oom_kills: int, status: int) -> OomguardError:
    """The stream reader has ended too often at one place, behind so many chunks."""
    place = f"{printable(job.sources[source].path)}, after {numbered} chunks"
    if oom_kills:
        budget = job.budget.budget
        return BudgetTooSmall(
            f"{place}: what comes next does not fit in the budget of {format_size(budget)} "
            "(the kernel ended the reader)",
            do=f"--max-rss {2 * budget // MIB}M; what was done so far is kept",
        )
    return WorkerFailed(
        f"{place}: the reader ended (exit status {status})", do="its message is above; please report it"
    )
