"""How much memory the usual ways to hold a corpus take: `python -m benchmarks.trap_costs [--megabytes 48]`.

Each way runs in a process of its own, on three texts: FineWeb (English, with curly quotes), the same without any
character outside ASCII, and subtitles (short lines, Chinese, Russian, Thai with emoji). Measured are the anonymous
memory it holds when it is done (RssAnon of /proc/self/status, after less before) and the most it took meanwhile (VmHWM,
reset through /proc/self/clear_refs). Beside each stands what oomguard.script_analysis.text_shape predicts, and how far off it is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from itertools import cycle
from pathlib import Path

DATA = Path(os.environ.get("OOMGUARD_DATA", ""), "corpora")
CHILD = r"""
import gc, json, re, sys
kind, setup, step = json.loads(sys.stdin.readline())
def field(name):
    return int(re.search(rf"^{name}:\s+([0-9]+) kB", open("/proc/self/status").read(), re.M)[1]) * 1024
scope = {"TEXT": sys.argv[1], "JSON": sys.argv[2], "JSONL": sys.argv[3], "CSV": sys.argv[4], "PARQUET": sys.argv[5]}
exec(setup, scope)
gc.collect()
open("/proc/self/clear_refs", "w").write("5")
before, resident = field("RssAnon"), field("VmRSS")
exec(step, scope)
held = field("RssAnon") - before
print(json.dumps({"held": held, "peak": field("VmHWM") - resident}))
"""
ENC = """
import ctypes, numpy as np
from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file, load_tiktoken
enc = load_tiktoken(find_encoding("gpt2"), find_rank_file(find_encoding("gpt2")))
enc.encode_ordinary("warm up")
"""
# tiktoken leaves a UTF-8 copy in each string that is not ASCII; it belongs to the string, and is measured on its own.
DOCS = """
import json
docs = [json.loads(line)["text"] for line in open(JSONL, encoding="utf-8")]
"""
SEEN = DOCS + "for doc in docs: ctypes.pythonapi.PyUnicode_AsUTF8(ctypes.py_object(doc))\n"
LIST = SEEN + "ids = []\nfor doc in docs: ids.extend(enc.encode_ordinary(doc))\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to hold a corpus: what is there before, and the step that is measured."""

    name: str  # as in oomguard.script_analysis.text_shape.HELD
    step: str
    setup: str = ""
    times: int = 1  # the corpus so often: a library's buffers and threads must not count


WAYS = [
    Way(name="text", step="text = open(TEXT, encoding='utf-8').read()"),
    Way(name="bytes", step="data = open(TEXT, 'rb').read()"),
    Way(name="lines", step="lines = open(TEXT, encoding='utf-8').readlines()"),
    Way(name="lines", step="lines = list(open(TEXT, encoding='utf-8'))"),
    Way(name="lines", step="lines = [line for line in open(TEXT, encoding='utf-8')]"),
    Way(name="lines", setup="text = open(TEXT, encoding='utf-8').read()", step="lines = text.split('\\n')"),
    Way(name="words", setup="text = open(TEXT, encoding='utf-8').read()", step="words = text.split()"),
    Way(name="characters", setup="text = open(TEXT, encoding='utf-8').read()", step="ids = [0 for c in text]"),
    Way(name="documents", step="import json; docs = [json.loads(line)['text'] for line in open(JSONL, encoding='utf-8')]"),
    Way(name="records", setup="import json", step="rows = [json.loads(line) for line in open(JSONL, encoding='utf-8')]"),
    Way(name="json", setup="import json", step="rows = json.load(open(JSON, encoding='utf-8'))"),
    Way(name="joined", setup=DOCS, step="text = ' '.join(docs)"),
    Way(name="tokens", setup=ENC + SEEN, step="ids = []\nfor doc in docs: ids.extend(enc.encode_ordinary(doc))"),
    Way(name="tokens_whole", setup=ENC + "text = open(TEXT, encoding='utf-8').read()\nctypes.pythonapi.PyUnicode_AsUTF8(ctypes.py_object(text))", step="ids = enc.encode_ordinary(text)"),
    Way(name="utf8_copy", setup=ENC + DOCS, step="for doc in docs: enc.encode_ordinary(doc)"),
    Way(name="token_lists", setup=ENC + SEEN, step="ids = [enc.encode_ordinary(doc) for doc in docs]"),
    Way(name="token_lists", setup=ENC + SEEN, step="ids = enc.encode_ordinary_batch(docs, num_threads=1)"),
    Way(name="token_arrays", setup=ENC + SEEN, step="ids = [np.array(enc.encode_ordinary(doc), np.uint16) for doc in docs]"),
    Way(name="array2", setup=ENC + LIST, step="a = np.array(ids, dtype=np.uint16)"),
    Way(name="array8", setup=ENC + LIST, step="a = np.array(ids)"),
    Way(name="tolist", setup=ENC + LIST + "a = np.array(ids, np.uint16); del ids", step="ids = a.tolist()"),
    Way(name="frame_csv", setup="import pandas as pd; pd.DataFrame({'a': ['x']}).to_csv()", step="df = pd.read_csv(CSV)", times=6),
    Way(name="frame_json", setup="import pandas as pd, io; pd.read_json(io.StringIO('{\"a\":1}'), lines=True)", step="df = pd.read_json(JSONL, lines=True)", times=6),
    Way(name="frame_parquet", setup="import pandas as pd, pyarrow.parquet", step="df = pd.read_parquet(PARQUET)", times=6),
    Way(name="table", setup="import pyarrow.parquet as pq", step="table = pq.read_table(PARQUET)", times=6),
    Way(name="dataset", setup="import datasets; datasets.disable_progress_bars()", step="ds = datasets.load_dataset('text', data_files=TEXT, split='train', cache_dir=TEXT + '.cache')\nfor row in ds: pass", times=6),
    Way(name="dataset_column", setup="import datasets; datasets.disable_progress_bars(); ds = datasets.load_dataset('json', data_files=JSONL, split='train', cache_dir=TEXT + '.cache')", step="texts = ds['text'][:]", times=6),
]  # fmt: skip


def texts(megabytes: int) -> dict[str, list[str]]:
    """The three texts, as documents."""
    import pyarrow.parquet as pq

    size = megabytes * 1_000_000
    english: list[str] = []
    for file in sorted((DATA / "fineweb").glob("*.parquet")):
        english += pq.read_table(file, columns=["text"])["text"].to_pylist()
    english = cut_to(list(dict.fromkeys(english)), size)
    mixed = "\n".join(file.read_text("utf-8") for file in sorted((DATA / "multilingual").glob("*.txt"))).split("\n")
    documents = ["\n".join(mixed[start : start + 40]) for start in range(0, len(mixed), 40)]
    return {
        "fineweb": english,
        "ascii": [document.encode("ascii", "ignore").decode() for document in english],
        "subtitles": cut_to(documents, size),
    }


def cut_to(documents: list[str], size: int) -> list[str]:
    """As many documents as make `size` bytes; from the first again when they are too few."""
    kept: list[str] = []
    for document in cycle(documents):
        size -= len(document.encode()) + 1
        if size < 0:
            break
        kept.append(document)
    return kept


def write_files(folder: Path, documents: list[str], times: int) -> list[str]:
    """The same documents, so often, as text, JSON array, JSON Lines, CSV and Parquet."""
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    paths = [str(folder / f"corpus-{times}.{ending}") for ending in ("txt", "json", "jsonl", "csv", "parquet")]
    documents = documents * times
    rows = [{"text": document} for document in documents]
    Path(paths[0]).write_text("\n".join(documents), "utf-8")
    Path(paths[1]).write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    Path(paths[2]).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    table = pa.table({"text": documents})
    pyarrow.csv.write_csv(table, paths[3])
    pq.write_table(table, paths[4], row_group_size=10_000)
    return paths


def measure(way: Way, paths: list[str]) -> dict[str, int] | None:
    given = json.dumps([way.name, way.setup, way.step]) + "\n"
    # A hash seed of its own would make two runs differ by the size of a set.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    run = subprocess.run(
        [sys.executable, "-c", CHILD, *paths], input=given, capture_output=True, text=True, check=False, env=environment
    )
    if run.returncode:
        print(f"{way.name}: {run.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, int] = json.loads(run.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=48)
    parser.add_argument("--only", default="", help="ways whose name begins so")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    if not DATA.is_dir():
        sys.exit("error: OOMGUARD_DATA names no folder with corpora/\n  try: OOMGUARD_DATA=/path/to/data make costs")
    from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file, load_tiktoken
    from oomguard.script_analysis.text_shape import HELD, PEAK, SMALL_INT, measure_shape

    encoding = load_tiktoken(find_encoding("gpt2"), find_rank_file(find_encoding("gpt2")))

    def count(document: str) -> tuple[int, int]:
        ids = encoding.encode_ordinary(document)
        return len(ids), sum(token > SMALL_INT for token in ids)

    libraries = " ".join(f"{name} {version(name)}" for name in ("tiktoken", "numpy", "pandas", "pyarrow", "datasets"))
    print(f"CPython {platform.python_version()} {platform.machine()}, Linux {platform.release()}, {libraries}")
    print(
        f"{'text':10} {'way':15} {'held':>6} {'said':>6} {'off':>7}  {'peak':>6} {'said':>6} {'off':>7}   bytes per byte of text"
    )
    record, worst = [], 0.0
    for name, documents in texts(arguments.megabytes).items():
        with tempfile.TemporaryDirectory(prefix="oomguard-costs-") as folder:
            shape = measure_shape(
                documents, count
            )  # first: pyarrow leaves a UTF-8 copy in each document, as tiktoken does
            paths = {times: write_files(Path(folder), documents, times) for times in (1, 6)}
            for way in (way for way in WAYS if way.name.startswith(arguments.only)):
                found = measure(way, paths[way.times])
                size = Path(paths[way.times][0]).stat().st_size
                if found is None:
                    continue
                held, peak = (found[key] / size for key in ("held", "peak"))
                said, said_peak = HELD[way.name](shape), PEAK[way.name](shape)
                off, off_peak = (100 * (a / b - 1) if b > 0.05 else 0.0 for a, b in ((said, held), (said_peak, peak)))
                worst = max(worst, abs(off)) if said > 0 else worst
                print(
                    f"{name:10} {way.name:15} {held:6.2f} {said:6.2f} {off:+6.1f}%  {peak:6.2f} {said_peak:6.2f} {off_peak:+6.1f}%   {way.step.splitlines()[-1][:60]}"
                )
                record.append(
                    {
                        "text": name,
                        "way": way.name,
                        "step": way.step,
                        "size": size,
                        **found,
                        "said": said,
                        "said_peak": said_peak,
                    }
                )
    print(f"farthest off, of what is held: {worst:.1f} %")
    if arguments.json:
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
