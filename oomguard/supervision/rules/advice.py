"""From what was seen of a held job, what its user can do: each line follows from a fact, and names it."""

from __future__ import annotations

import re
import shlex
from statistics import median_low
from typing import TYPE_CHECKING

from oomguard.records import dataclass
from oomguard.supervision.rules.user_code import is_helper, is_library, user_frame
from oomguard.units import GIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import OpenInput, ProcessFacts, StackFrame
    from oomguard.supervision.growth.forecast import Forecast
    from oomguard.supervision.model import GrownLine, Snapshot


@dataclass(frozen=True, slots=True)
class Cure:
    """A call, as it stands in a line of source, or (package, function) as a library's frame has it."""

    call: re.Pattern[str]
    do: str
    entry: tuple[str, str] | None = None

    def fits(self, source: str, entries: frozenset[tuple[str, str]]) -> bool:
        """Whether a line is that call; `entries` are the library's functions that stand below it."""
        return self.call.search(source) is not None or (self.entry is not None and self.entry in entries)


def _cure(call: str, do: str, entry: tuple[str, str] | None = None) -> Cure:
    return Cure(re.compile(call), do, entry)


# The first that fits is told: the special before the general.
CURES = (
    _cure(
        r"\.read_csv\((?!.*chunksize)",
        "pandas: for part in pd.read_csv(..., chunksize=10_000), and usecols= for the columns that are needed",
        ("pandas", "read_csv"),
    ),
    _cure(
        r"\.read_json\((?!.*chunksize)",
        "pandas: for part in pd.read_json(..., lines=True, chunksize=10_000)",
        ("pandas", "read_json"),
    ),
    _cure(
        r"\.read_parquet\(|\bread_table\(",
        "pyarrow: for batch in pq.ParquetFile(path).iter_batches(10_000, columns=[...])",
        ("pyarrow", "read_table"),
    ),
    _cure(
        r"\.merge\(|\.join\([a-z_]+,",
        'pandas: keys that occur several times on both sides multiply: merge(..., validate="one_to_many") says so, and '
        "drop_duplicates() on the key first fixes it",
        ("pandas", "merge"),
    ),
    _cure(
        r"\.concat\(",
        "pandas: concat holds the parts and the whole: write each part out (to_parquet), and read them as one dataset",
        ("pandas", "concat"),
    ),
    _cure(
        r"\.str\.(split|findall|extractall)\(",
        "pandas: a list for each row is many times the text: pd.read_csv(..., chunksize=10_000), part by part",
    ),
    _cure(
        r"\.(apply|applymap|iterrows|to_dict)\(",
        "pandas: a Python object for each row: work on parts (chunksize=10_000), and write each out",
        ("pandas", "apply"),
    ),
    _cure(
        r"\.to_pylist\(|\.to_pandas\(|\.to_pydict\(",
        "Arrow: convert batch by batch: for batch in table.to_batches(10_000), or ParquetFile.iter_batches()",
    ),
    _cure(
        r"\.map\((?=.*(batched|num_proc|remove_columns))",
        "datasets: map(..., writer_batch_size=100, batch_size=100) holds fewer rows until it writes them",
        ("datasets", "map"),
    ),
    _cure(
        r"\blist\((ds|dataset|data)\b|\b(ds|dataset)\[[\"']",
        "datasets: for batch in dataset.iter(batch_size=1000) reads from disk as it goes; a column as a list does not",
    ),
    _cure(
        r"SentencePieceTrainer|\bspm\.\w*[Tt]rain",
        "sentencepiece: train(..., input_sentence_size=1_000_000, shuffle_input_sentence=True) reads a sample",
        ("sentencepiece", "Train"),
    ),
    _cure(
        r"\.train_from_iterator\(|\.train\(\[?.*(files|trainer)",
        "tokenizers: train on a sample, and split into words first: tokenizer.pre_tokenizer = Whitespace()",
    ),
    _cure(
        r"\.(toarray|todense)\(",
        "scipy: a dense matrix has 8 bytes for each zero: keep it sparse, which estimators take, or make 1,000 rows at "
        "a time dense",
    ),
    _cure(
        r"(CountVectorizer|TfidfVectorizer).*fit|\.fit_transform\(",
        "scikit-learn: HashingVectorizer keeps no vocabulary, and transforms part by part",
        ("sklearn", "fit_transform"),
    ),
    _cure(r"\bcosine_similarity\(|\bpairwise_distances\(", "all pairs at once: work on blocks of 1,000 rows"),
    _cure(
        r"\bjson\.load\(",
        "it reads all of its input at once: JSON Lines, one json.loads(line) at a time, or ijson.items(file, 'item')",
    ),
    _cure(
        r"\bload_workbook\((?!.*read_only)",
        "openpyxl: load_workbook(path, read_only=True), and sheet.iter_rows(values_only=True): a row at a time",
        ("openpyxl", "load_workbook"),
    ),
    _cure(
        r"\biterparse\(",
        "ElementTree: iterparse() keeps the whole tree: root.clear() after each element that was used",
    ),
    _cure(
        r"\bplt\.(figure|subplots?|plot|savefig)\(|\bfig\w*\.savefig\(",
        "matplotlib: pyplot keeps each figure until plt.close(fig)",
    ),
    _cure(r"\bpickle\.load\(", "it loads all of its input at once: write records one by one, and load them one by one"),
    _cure(r"\bnp\.(load|fromfile)\((?!.*mmap_mode)", 'numpy: np.load(path, mmap_mode="r") reads what is used'),
    _cure(r"\.fetchall\(", "it reads all of its input at once: for row in cursor"),
    _cure(
        r"\b(np|numpy)\.(concatenate|[vh]?stack)\(",
        "numpy: the parts and the whole are held at once: write each part into an np.memmap of the final size",
    ),
    _cure(r"\bre\.findall\(", "re.finditer() gives one match at a time"),
    _cure(
        r"\bcheck_output\(|capture_output=True|\.communicate\(",
        "it holds all of the output: subprocess.Popen(..., stdout=PIPE), and for line in process.stdout",
    ),
    _cure(
        r"requests\.get\(.*\.(content|text|json)",
        "it holds the whole answer: requests.get(..., stream=True), and iter_content(1 << 20)",
    ),
    _cure(
        r"\.(imap|imap_unordered)\(",
        "results wait in this process while they are taken more slowly than they are made: take them in rounds, or "
        "hold the tasks back with a semaphore that is released for each result taken",
    ),
    _cure(
        r"\b(create_task|ensure_future|asyncio\.gather)\(",
        "asyncio: all tasks exist at once, whatever a semaphore lets run: gather them in rounds of 100",
    ),
    _cure(
        r"\bray\.put\(|\.remote\(",
        "ray: an object stays in the store as long as a reference to it is kept: ray.get() it, and drop the reference",
    ),
    _cure(
        r"\b\w*(queue|jobs|tasks|q)\.put(_nowait)?\(",
        "a queue without a limit keeps all that its readers have not taken yet: Queue(maxsize=100) makes put() wait",
    ),
    _cure(
        r"\.(starmap|map)\((?!.*lambda)|Parallel\(|\.submit\(",
        "all results are kept until the last is there: let each task write its own to disk, and give back the path",
        ("joblib", "__call__"),
    ),
    _cure(
        r"\.(read|readlines|read_text|read_bytes|readall|splitlines)\(\s*\)",
        "it reads all of its input at once: read it in pieces (for line in file, or file.read(1 << 20))",
    ),
    _cure(r"\blist\(csv\.|\blist\(\w*reader|\bsorted\(", "it holds all rows at once: go through them one by one"),
)
_GROWING = re.compile(r"\.(append|extend|add|update|setdefault)\(|\+=(?!\s*(len|sum|abs|int|float|round|ord)\(|\s*\d)")


def cure_of(source: str, entries: frozenset[tuple[str, str]]) -> str:
    """What to write instead of a line; "" if none is known."""
    return next((cure.do for cure in CURES if cure.fits(source, entries)), "")


def accumulates(source: str) -> bool:
    """Whether a line puts something into what is kept."""
    return _GROWING.search(source) is not None


_PREPARED = (".txt", ".jsonl", ".parquet")
_PACKED = (".gz", ".zst", ".xz", ".bz2")
_SWAP_MARGIN = 1.1
_LEAST_ARENAS = 3  # a few threads have one each, whatever they do
_PACKAGE = re.compile(r"/(?:site|dist)-packages/(\w+)|/lib(?:64)?/python3[^/]*/(\w+)")
_POOL = "/multiprocessing/pool.py"


def advise(
    held: Snapshot, line: tuple[Forecast, OpenInput] | None, *, machine_available: int | None
) -> tuple[str, ...]:
    """Say what would help, the change in the program first.

    `line` is memory against the position in the input, where it was a straight line; `machine_available` what the
    machine has left beside the job. Units: bytes.
    """
    advice = [
        *(_change_the_line(held) or _fewer_arenas(held)),
        *_do_not_copy(held),
        *_prepare_instead(held),
        *_fewer_processes(held),
        *_files_in_memory(held),
        *size_by_flag(held.processes[:1], held.budget),
        *_more_memory(held, line, machine_available),
    ]
    return tuple(dict.fromkeys(advice))


def _change_the_line(held: Snapshot) -> list[str]:
    """The line in which it grew, or else where it stands: what to write instead of the call that is there."""
    in_pool = sum(grown.grew_bytes for grown in held.grown if grown.file.endswith(_POOL))
    if in_pool * 2 > sum(grown.grew_bytes for grown in held.grown):  # in the threads that a pool has in its parent
        return [cure_of("pool.imap(", frozenset())]
    places = [(grown.line, grown.source, _entries(held, (grown.file, grown.line))) for grown in _most_grown(held)]
    if not places:
        frame = user_frame(held.stacks[0].frames) if held.stacks else None
        if frame is None:
            return []
        places = [(frame.line, frame.source, _entries(held, (frame.file, frame.line)))]
    for number, source, entries in places:
        if cure := cure_of(source, entries):
            return [f"line {number}: {cure}"]
        if accumulates(source) and held.shmem < held.unreclaimable // 2:
            return [f"line {number} accumulates its results: write each batch to disk and drop it"]
    return []


def _most_grown(held: Snapshot) -> list[GrownLine]:
    """The user's lines that a third of the growth was in, if most of the growth was seen."""
    return [
        grown
        for grown in held.grown
        if grown.line and not is_library(grown.file) and grown.grew_bytes * 3 >= held.grown_since > held.budget // 10
    ]


def _entries(held: Snapshot, place: tuple[str, int]) -> frozenset[tuple[str, str]]:
    """The functions of libraries that were called from that line, as (package, function)."""
    found: set[tuple[str, str]] = set()
    for stack in held.stacks:
        at = next((n for n, frame in enumerate(stack.frames) if (frame.file, frame.line) == place), 0)
        found |= {(_package(frame), frame.function.rpartition(".")[2]) for frame in stack.frames[max(0, at - 3) : at]}
    return frozenset(found)


def _package(frame: StackFrame) -> str:
    found = _PACKAGE.search(frame.file)
    return (found[1] or found[2] or "") if found is not None else ""


def _do_not_copy(held: Snapshot) -> list[str]:
    if held.copied < held.unreclaimable // 4:
        return []
    told = (
        f"{format_size(held.copied)} of it are copies that forked children made of their parent's memory: using a "
        "Python object writes its reference count, which copies its page. A numpy array or an Arrow table is shared "
        "uncopied; or give each child only its part"
    )
    return [told]


def _fewer_arenas(held: Snapshot) -> list[str]:
    if len(held.arenas) < _LEAST_ARENAS or sum(held.arenas) * 2 < held.unreclaimable:
        return []
    told = (
        f"{format_size(sum(held.arenas))} of it are in {len(held.arenas)} arenas that malloc made for threads; what is "
        "freed there may stay with the process. If the program has freed it: MALLOC_ARENA_MAX=1 in its environment"
    )
    return [told]


def _prepare_instead(held: Snapshot) -> list[str]:
    for opened in held.inputs[:1]:
        name = opened.path.lower()
        for packed in _PACKED:
            name = name.removesuffix(packed)
        if name.endswith(_PREPARED):
            budget = max(held.budget // MIB, 256)
            return [f"to tokenize this file instead: oomguard run --max-rss {budget}M prepare {_quoted(opened.path)}"]
    return []


def equal_workers(processes: Sequence[ProcessFacts]) -> list[ProcessFacts]:
    """The children of one process that hold as much as each other; [] if there are no such, or only one.

    Parents, and the helpers that multiprocessing starts beside its workers, are not of them.
    """
    parents = {process.parent_pid for process in processes}
    by_parent: dict[int, list[ProcessFacts]] = {}
    for process in processes:
        if process.pid not in parents and not is_helper(process.command):
            by_parent.setdefault(process.parent_pid, []).append(process)
    largest = max(by_parent.values(), key=lambda group: sum(each.unreclaimable for each in group), default=[])
    if len(largest) < 2:
        return []
    middle = median_low(each.unreclaimable for each in largest)
    if max(each.unreclaimable for each in largest) >= 2 * middle:
        return []
    return [each for each in largest if each.unreclaimable * 2 > middle]


def _fewer_processes(held: Snapshot) -> list[str]:
    alike = equal_workers(held.processes)
    together = sum(process.unreclaimable for process in alike)
    if len(alike) < 2 or together < held.unreclaimable // 2 or held.copied * 3 > held.unreclaimable:
        return []
    each = together // len(alike)
    return [f"{len(alike)} processes hold about {format_size(each)} each: run fewer at a time"]


def _files_in_memory(held: Snapshot) -> list[str]:
    if held.shmem < held.unreclaimable // 4:
        return []
    files = [(path, size) for path, size in held.files_in_memory if not path.startswith("/memfd:")]
    if sum(size for _, size in files) * 2 < held.shmem:
        told = (
            f"{format_size(held.shmem)} of it are shared memory without a file (mmap, memfd): it counts until it is "
            "unmapped, and a file on disk that is mapped instead does not"
        )
        return [told]
    names = ", ".join(_quoted(path) for path, _ in files[:2])
    return [f"{format_size(held.shmem)} of it are files in memory ({names}): tmpfs and /dev/shm count, a disk does not"]


def size_by_flag(processes: Sequence[ProcessFacts], budget: int) -> list[str]:
    """For programs that size their heap by the limit that they find: the flag that says how large it is to be."""
    told: list[str] = []
    for process in processes:
        program = process.command[0].rpartition("/")[2] if process.command else process.name
        if program == "java":
            told.append(
                "for its heap java takes a quarter of the memory limit that it finds: say how much it may have, "
                f"java -Xmx{max(budget * 3 // 4 // MIB, 1)}m (or JAVA_TOOL_OPTIONS), a quarter less than --max-rss"
            )
        elif program in ("node", "nodejs"):
            told.append(
                "node sizes its heap by the memory that it finds: "
                f"NODE_OPTIONS=--max-old-space-size={max(budget * 3 // 4 // MIB, 1)} lets it collect garbage before "
                "the budget, and says so in JavaScript's terms if that is not enough"
            )
    return told[:1]


def _more_memory(held: Snapshot, line: tuple[Forecast, OpenInput] | None, machine_available: int | None) -> list[str]:
    if line is None:
        return []
    need = int(line[0].at_end * _SWAP_MARGIN)
    if need <= held.budget:
        return []
    told = f"the whole input needs about {format_size(line[0].at_end)}, if it is read once"
    room = held.unreclaimable + (machine_available or 0)
    if machine_available is not None and need <= room:
        return [f"{told}: --max-rss {_round_up(need)} is enough, and this machine has it"]
    swap = need - room if machine_available is not None else need - held.budget
    return [f"{told}: a machine with {-(-need // GIB)} GiB, or more swap: oomguard swap --size {_round_up(swap)}"]


def _round_up(size: int) -> str:
    return f"{-(-size // GIB)}G" if size >= 4 * GIB else f"{-(-size // MIB)}M"


def _quoted(path: str) -> str:
    return shlex.quote(path)


def suggest_max_rss(available: int) -> str:
    """A budget for a command that was started without one: 80 % of what is available, as --max-rss takes it."""
    return _round_down(int(available * 0.8))


def _round_down(size: int) -> str:
    return f"{size // GIB}G" if size >= 4 * GIB else f"{max(size // MIB, 1)}M"
