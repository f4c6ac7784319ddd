"""The calls that hold most of a program's memory in practice, and for each what to write instead.

Each cure was measured: docs/check.md has the call, the cure, and the peak of both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


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
        "pandas: for part in pd.read_csv(..., chunksize=100_000), and usecols= for the columns that are needed",
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
        "drop_duplicates() on the key before cures it",
        ("pandas", "merge"),
    ),
    _cure(
        r"\.concat\(",
        "pandas: concat holds the parts and the whole: write each part out (to_parquet), and read them as one dataset",
        ("pandas", "concat"),
    ),
    _cure(
        r"\.str\.(split|findall|extractall)\(",
        "pandas: a list for each row is many times the text: pd.read_csv(..., chunksize=100_000), part by part",
    ),
    _cure(
        r"\.(apply|applymap|iterrows|to_dict)\(",
        "pandas: a Python object for each row: work on parts (chunksize=100_000), and write each out",
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
        r"(CountVectorizer|TfidfVectorizer).*fit|\.fit_transform\(",
        "scikit-learn: HashingVectorizer keeps no vocabulary, and transforms part by part",
        ("sklearn", "fit_transform"),
    ),
    _cure(r"\bcosine_similarity\(|\bpairwise_distances\(", "all pairs at once: work on blocks of 1,000 rows"),
    _cure(
        r"\bjson\.load\(",
        "it reads all of its input at once: JSON Lines, one json.loads(line) at a time, or ijson.items(file, 'item')",
    ),
    _cure(r"\bpickle\.load\(", "it loads all of its input at once: write records one by one, and load them so"),
    _cure(r"\bnp\.(load|fromfile)\((?!.*mmap_mode)", 'numpy: np.load(path, mmap_mode="r") reads what is used'),
    _cure(r"\.fetchall\(", "it reads all of its input at once: for row in cursor"),
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
_GROWING = re.compile(r"\.(append|extend|add|update|setdefault)\(|\+=")


def cure_of(source: str, entries: frozenset[tuple[str, str]]) -> str:
    """What to write instead of a line; "" if none is known."""
    return next((cure.do for cure in CURES if cure.fits(source, entries)), "")


def accumulates(source: str) -> bool:
    """Whether a line puts something into what is kept."""
    return _GROWING.search(source) is not None
