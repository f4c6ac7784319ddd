"""Advice follows from facts: what grew, workers that are equal, copies, the flag of a program that sizes itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oomguard.kernel.model import ProcessFacts, ProcessStack, StackFrame
from oomguard.supervision.model import GrownLine, Snapshot
from oomguard.supervision.rules.advice import CURES, advise, cure_of, equal_workers, size_by_flag

MIB = 1 << 20
HELD = Snapshot(
    seconds=1.0, budget=200 * MIB, unreclaimable=201 * MIB, shmem=0, cache=0, processes=(), stacks=(), unread={}, maps={},
    inputs=(), files_in_memory=(), look_seconds=0.1,
)  # fmt: skip


def process(pid: int, size: int, parent: int = 1, command: tuple[str, ...] = ("python", "a.py")) -> ProcessFacts:
    return ProcessFacts(
        pid=pid, parent_pid=parent, name="python", command=command, unreclaimable=size * MIB, exact=True, rss=size * MIB,
        anon=size * MIB, shmem=0, file=0, swap=0, peak_rss=size * MIB,
    )  # fmt: skip


def stands(source: str, line: int = 7) -> ProcessStack:
    frame = StackFrame(file="/home/u/a.py", line=line, function="f", arguments={}, locals={}, source=source)
    return ProcessStack(pid=2, thread=2, language="python", frames=(frame,), read_by="pystack")


def grew(source: str, size: int, line: int = 4, file: str = "/home/u/a.py") -> GrownLine:
    return GrownLine(file=file, line=line, function="handle", source=source, grew_bytes=size * MIB)


def told(held: Snapshot) -> str:
    return "\n".join(advise(held, None, machine_available=None))


def test_what_grew_goes_before_where_it_stands() -> None:
    held = replace(HELD, stacks=(stands("data = file.read()"),))
    assert "line 7: it reads all of its input at once" in told(held)
    held = replace(held, grown=(grew("cache.append(x)", 90),), grown_since=100 * MIB)
    assert told(held) == "line 4 accumulates its results: write each batch to disk and drop it"


def test_a_line_that_little_grew_in_is_not_blamed() -> None:
    held = replace(HELD, stacks=(stands("time.sleep(1)"),), grown=(grew("cache.append(x)", 10),), grown_since=100 * MIB)
    assert told(held) == ""
    few = replace(HELD, stacks=(stands("time.sleep(1)"),), grown=(grew("cache.append(x)", 4),), grown_since=4 * MIB)
    assert told(few) == ""


@pytest.mark.parametrize("source", ["total += len(row)", "count += 1", "seen += sum(map(len, rows))"])
def test_a_number_does_not_grow(source: str) -> None:
    assert "accumulates" not in told(replace(HELD, stacks=(stands(source),)))
    assert "accumulates" in told(replace(HELD, stacks=(stands("kept += lines"),)))


def test_handles_of_shared_memory_are_not_what_accumulates() -> None:
    held = replace(
        HELD, stacks=(stands("s.append(m)"),), shmem=180 * MIB, files_in_memory=(("/dev/shm/psm_1", 180 * MIB),)
    )
    assert "accumulates" not in told(held)
    assert "180 MiB of it are files in memory (/dev/shm/psm_1)" in told(held)
    without = replace(held, files_in_memory=(("/memfd:x (deleted)", 180 * MIB),))
    assert "shared memory without a file" in told(without)


def test_equal_workers_are_those_that_are_equal() -> None:
    """joblib: two workers of 127 and 22 MiB, their parent, and a tracker."""
    tracker = ("python", "-c", "from joblib.externals.loky.backend.resource_tracker import main")
    unequal = (process(3, 127, 2), process(2, 22), process(4, 22, 2), process(5, 22, 2, tracker))
    assert equal_workers(unequal) == []
    assert "processes hold" not in told(replace(HELD, processes=unequal))
    twelve = (*(process(10 + n, 16 + n % 3, 2) for n in range(12)), process(2, 3))
    assert len(equal_workers(twelve)) == 12
    assert "12 processes hold about 17.0 MiB each: run fewer at a time" in told(replace(HELD, processes=twelve))
    assert equal_workers((process(2, 200),)) == []


def test_small_workers_beside_a_large_parent_are_not_the_cause() -> None:
    held = replace(HELD, processes=(process(2, 190), *(process(10 + n, 3, 2) for n in range(4))))
    assert "processes hold" not in told(held)


def test_copies_after_a_fork() -> None:
    children = tuple(process(10 + n, 30, 2) for n in range(4))
    held = replace(HELD, processes=(*children, process(2, 30)), copied=90 * MIB)
    assert "90.0 MiB of it are copies that forked children made" in told(held)
    assert "run fewer" not in told(held)


def test_results_that_wait_in_the_parent_of_a_pool() -> None:
    pool = grew("task = get()", 80, 579, "/usr/lib/python3.11/multiprocessing/pool.py")
    assert "taken more slowly than they are made" in told(replace(HELD, grown=(pool,), grown_since=100 * MIB))


def test_programs_that_size_themselves_by_the_limit() -> None:
    (java,) = size_by_flag([process(2, 100, command=("/usr/bin/java", "-jar", "x.jar"))], 160 * MIB)
    assert "-Xmx120m" in java
    (node,) = size_by_flag([process(2, 100, command=("node", "build.js"))], 160 * MIB)
    assert "--max-old-space-size=120" in node
    assert size_by_flag([process(2, 100)], 160 * MIB) == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("df = pd.read_csv(sys.argv[1])", "chunksize"),
        ('return frame["text"].str.split()', "chunksize"),
        ('m = a.merge(b, on="k")', "drop_duplicates"),
        ("rows = table.to_pylist()", "to_batches"),
        ("ds = ds.map(tok, batched=True, num_proc=16)", "writer_batch_size"),
        ("spm.SentencePieceTrainer.train(input=path)", "input_sentence_size"),
        ("spm.SentencePieceTrainer.Train('--input=x')", "input_sentence_size"),
        ("x = json.load(f)", "json.loads(line)"),
        ("a = np.load(path)", "mmap_mode"),
        ("for x in pool.imap(f, xs):", "semaphore"),
        ("out = pool.map(f, xs)", "give back the path"),
        ("text = open(p).read()", "in pieces"),
        ("s = cosine_similarity(m)", "blocks"),
    ],
)  # fmt: skip
def test_the_cure_of_a_call(source: str, words: str) -> None:
    assert words in cure_of(source, frozenset())


def test_what_streams_already_needs_no_cure() -> None:
    for source in (
        "for p in pd.read_csv(f, chunksize=1000):",
        "a = np.load(p, mmap_mode='r')",
        "x = file.read(1 << 20)",
        "y = f(x)",
    ):
        assert cure_of(source, frozenset()) == ""
    assert "chunksize" in cure_of("df = load(path)", frozenset({("pandas", "read_csv")}))  # by the library's own frame
    assert len(CURES) >= 20


def test_arenas_are_told_where_no_line_has_a_cure() -> None:
    held = replace(HELD, arenas=(30 * MIB,) * 5, stacks=(stands("made = [make() for _ in range(9)]"),))
    assert "150 MiB of it are in 5 arenas" in told(held)
    assert "MALLOC_ARENA_MAX=1" in told(held)
    assert "arenas" not in told(replace(held, stacks=(stands("kept.append(x)"),)))
    assert "arenas" not in told(replace(held, arenas=(90 * MIB, 20 * MIB)))
    assert "arenas" not in told(replace(held, arenas=(30 * MIB,) * 3))  # less than half of it
