"""Profiles made by hand: one as a real run gives, and parts to change."""

import math
from dataclasses import replace
from itertools import cycle

from oomguard.profiling.model import PeakProfile, StageBand
from oomguard.profiling.recording_lines import ForecastMade, Peaks, RecordingEnd, RecordingHead, SeenProcess
from oomguard.supervision.model import GrownCall, GrownLine, GrownStack, MemorySample, ProcessMemory

MIB, GIB = 1 << 20, 1 << 30
SECONDS, STEP = 61, 0.25


def _memory(pid: int, anon: float, shmem: float = 0, file: float = 20 * MIB, swap: float = 0) -> ProcessMemory:
    return ProcessMemory(pid, int(anon), int(shmem), int(file), int(swap))


def _line(file: str, line: int, function: str, source: str, grew: int) -> GrownLine:
    return GrownLine(file=file, line=line, function=function, source=source, grew_bytes=grew)


def _call(file: str, line: int, function: str, source: str = "") -> GrownCall:
    return GrownCall(file=file, line=line, function=function, source=source)


def _seen(seconds: float, pid: int, parent: int, name: str, command: str) -> SeenProcess:
    return SeenProcess(seconds=seconds, pid=pid, parent_pid=parent, name=name, command=command)


def _sample(seconds: float) -> MemorySample:
    """A script reads 5 GiB in 20 s, then four workers take pieces of it through shared memory for 25 s, then it writes."""
    read = min(1.0, seconds / 20)
    parent = _memory(4711, 90 * MIB + 5 * GIB * read + max(0, seconds - 46) * 420 * MIB, file=60 * MIB)
    working = 20 < seconds < 45
    level = 0.6 + 0.4 * math.sin(seconds)
    workers = [_memory(4720 + n, (300 + 60 * n) * MIB * level, 512 * MIB) for n in range(4)] if working else []
    swapped = _memory(4700, 4 * MIB, swap=2 * MIB)
    held = parent.anon + sum(worker.anon for worker in workers) + (512 * MIB if workers else 0) + swapped.anon
    return MemorySample(
        seconds=seconds, unreclaimable=held + 30 * MIB, exact=True, cache=int(4 * GIB * read), processes=(swapped, parent, *workers)
    )  # fmt: skip


TIMELINE = tuple(_sample(step * STEP) for step in range(int(SECONDS / STEP)))
TOP = max(TIMELINE, key=lambda sample: sample.unreclaimable)
PROFILE = PeakProfile(
    head=RecordingHead(
        command=("python", "data/fineweb/prepare.py", "train.txt"), folder="/home/ada", began=1_790_000_000.0, tier="cgroup v2", exact_mark=True,
        available=15 * GIB, limited_by="MemAvailable", cpus=2,
    ),
    peaks=Peaks(
        peak_unreclaimable=TOP.unreclaimable + 3 * MIB, peak_seconds=TOP.seconds, by_the_mark=True, peak_with_cache=TOP.unreclaimable + 4 * GIB,
        largest_process=TOP.largest_process, summed_rss=TOP.unreclaimable + 3 * GIB, missed_at_most=12 * MIB, samples=len(TIMELINE),
        longest_gap=0.26,
    ),
    lines=(
        _line("/home/ada/data/fineweb/prepare.py", 61, "main", "    ids.extend(enc.encode_ordinary(text))", 6200 * MIB),
        _line("/home/ada/data/fineweb/prepare.py", 23, "read", "    data = f.read()", 5 * GIB),
        _line("/usr/lib/python3.13/multiprocessing/pool.py", 114, "worker", "        task = get()", 900 * MIB),
        _line("/usr/bin/zstd", 0, "", "", 40 * MIB),
    ),
    stages=(
        StageBand(name="read", pid=4711, begin=0.4, end=20.0), StageBand(name="tokenize", pid=4711, begin=20.0, end=45.0),
        StageBand(name="count words", pid=4720, begin=24.0, end=31.0), StageBand(name="write", pid=4711, begin=46.0, end=None),
    ),
    timeline=TIMELINE,
    processes=(
        _seen(0.0, 4700, 1, "sh", "sh -c 'python data/fineweb/prepare.py train.txt'"),
        _seen(0.1, 4711, 4700, "python", "python data/fineweb/prepare.py train.txt"),
        *(_seen(20.2, 4720 + n, 4711, "python", "python data/fineweb/prepare.py train.txt") for n in range(4)),
    ),
    forecast=ForecastMade(
        seconds=60.0, input="train.txt", input_bytes=15_000_000_000, read_bytes=1_400_000_000, at_end=119 * GIB, base=90 * MIB,
        per_byte=7.9, band=6 * GIB, method="read position",
    ),
    end=RecordingEnd(exit_code=137, seconds=60.9, stopped=""),
    notes=("process 4723 ended before its stack could be read",),
    stacks=(
        GrownStack(number=0, grew_bytes=6200 * MIB, calls=(
            _call("/home/ada/data/fineweb/prepare.py", 88, "<module>", "main()"),
            _call("/home/ada/data/fineweb/prepare.py", 61, "main", "    ids.extend(enc.encode_ordinary(text))"),
            _call("/usr/lib/python3.13/site-packages/tiktoken/core.py", 69, "encode_ordinary"),
        )),
        GrownStack(number=1, grew_bytes=4300 * MIB, calls=(
            _call("/home/ada/data/fineweb/prepare.py", 88, "<module>", "main()"),
            _call("/home/ada/data/fineweb/prepare.py", 57, "main", "    text = read(name)"),
            _call("/home/ada/data/fineweb/prepare.py", 23, "read", "    data = f.read()"),
        )),
        GrownStack(number=7, grew_bytes=40 * MIB, calls=(_call("/usr/bin/zstd", 0, ""),)),
    ),
)  # fmt: skip


def named(*texts: str) -> PeakProfile:
    """Put texts, in turn, in every place that the program, its files or its users name."""
    following = cycle(texts)

    def text() -> str:
        return next(following)

    assert PROFILE.forecast is not None and PROFILE.end is not None
    return replace(
        PROFILE,
        processes=tuple(replace(process, name=text(), command=text()) for process in PROFILE.processes),
        stages=tuple(replace(stage, name=text()) for stage in PROFILE.stages),
        lines=tuple(replace(line, file=text(), function=text(), source=text()) for line in PROFILE.lines),
        head=replace(PROFILE.head, command=("python", *texts), tier=text(), limited_by=text(), host=text()),
        forecast=replace(PROFILE.forecast, input=text()),
        end=replace(PROFILE.end, stopped=text()),
        notes=texts,
        stacks=tuple(
            replace(
                stack,
                calls=tuple(
                    replace(each, file=f"/home/{text()}", function=text(), source=text()) for each in stack.calls
                ),
            )
            for stack in PROFILE.stacks
        ),
    )
