"""Short runs of the job itself on parts of its input, in a folder that is gone afterwards."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.estimation.run_forecast import choose_parts, choose_turns
from oomguard.estimation.sample_files import write_sample
from oomguard.estimation.short_runs import CannotTry, Runner, command_of, job_command
from oomguard.kernel.process import stoppable
from oomguard.kernel.storage import scratch_folder
from oomguard.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from oomguard.estimation.run_forecast import ShortRun
    from oomguard.preparation.options import PrepareOptions
    from oomguard.preparation.reading.source import Source

_PREFIX = ".oomguard-plan-"
_LONGEST_COMMAND = 500_000  # bytes of arguments, of which Linux takes 2 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The runs, and whether they were on all of the input."""

    parts: tuple[tuple[ShortRun, ...], ...]  # of each part, the shortest first
    is_whole: bool


def try_job(
    sources: Sequence[Source], sizes: Sequence[int], *, text_bytes: int, out: Path,
    command: Callable[[Sequence[str], Path], Sequence[str]],
) -> Trial:  # fmt: skip
    """Do the job on parts of `sizes` bytes of text; `command` gives the command line for inputs and an output folder.

    Raises: BadInput with what a run said of the input; CannotTry; Stopped when a signal ended it. Nothing is left
    behind, and what an earlier one left that was killed is removed.
    """
    is_whole = len(sizes) == 1 and sum(len(source.path) for source in sources) < _LONGEST_COMMAND
    with stoppable(lambda: None) as asked, _scratch(out) as (folder, within):
        runner = Runner(folder / "out", within / "out", asked)
        if is_whole:
            names = [path if not path.startswith("-") else f"./{path}" for path in (one.path for one in sources)]
            whole = command(names, runner.out)
            return Trial(parts=_by_turns([functools.partial(runner.run, whole, instead={})], text_bytes), is_whole=True)
        commands = []
        instead: dict[str, str] = {}
        for number, size in enumerate(sizes):
            given = within / str(number)
            given.mkdir()
            made = write_sample(sources, given, fraction=min(1.0, size / text_bytes))
            instead.update({str(folder / str(number) / path.name): source.path for path, source in made})
            commands.append(command([str(folder / str(number))], runner.out))
        runs = [functools.partial(runner.run, one, instead=instead) for one in commands]
        return Trial(parts=_by_turns(runs, text_bytes), is_whole=False)


def _by_turns(runs: Sequence[Callable[[], ShortRun]], text_bytes: int) -> tuple[tuple[ShortRun, ...], ...]:
    """Run each once, and again: the time is told from differences."""
    turns = [[run() for run in runs]]
    while len(turns) < choose_turns(text_bytes, turns[0]):
        turns.append([run() for run in runs])
    return tuple(zip(*turns, strict=True))


@contextlib.contextmanager
def _scratch(out: Path) -> Iterator[tuple[Path, Path]]:
    """A folder on the disk of the output, and the same by its descriptor."""
    parent = next(parent for parent in (out.absolute().parent, *out.absolute().parents) if parent.is_dir())
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(scratch_folder(parent, _PREFIX))
        except OSError as error:
            raise CannotTry(f"{printable(str(parent))} cannot be written: {error.strerror}") from error
        try:
            yield made
        except OSError as error:
            raise CannotTry(error.strerror or str(error)) from error


def try_some(
    sources: Sequence[Source], options: PrepareOptions, max_rss: int | None, *, text_bytes: int, encoded_a_second: float
) -> tuple[Trial | None, str]:
    """Do the job on some of the input; where that cannot be, say why."""
    sizes = choose_parts(text_bytes, bytes_per_second=encoded_a_second)

    def command(inputs: Sequence[str], out: Path) -> Sequence[str]:
        input_format = options.input_format if len(sizes) == 1 else "auto"  # parts have names that say what they are
        val = None if len(sizes) == 1 else "0"
        _, *words = job_command(options, max_rss, inputs, out, "--json", "--quiet", val=val, input_format=input_format)
        return command_of(words)

    try:
        return try_job(sources, sizes, text_bytes=text_bytes, out=options.out, command=command), ""
    except CannotTry as why:
        return None, str(why)
