"""The encoder core beside gigatoken and tiktoken, in memory, one thread: `python -m benchmarks.core_speed`.

Texts are passed once, as a job does: laps of 8 MB that no encoder has seen, each lap given to all of them in turn, so
that what else the machine does hits them alike. Numbers are MB of text per second of CPU time of the thread, and ratios
of these. The core gets windows of 256 KiB and the state that a budget of 512M gives; gigatoken's `encode`, its fastest
call, pieces of that size cut before a blank after a letter or digit, since it has no way to stream; tiktoken 2 MB.
Every lap's tokens are compared. What this does not show: several threads, reading, writing.

--texts english multilingual code random-words   (english and random words are made, see benchmarks.corpus)
--also llama3=FILE qwen=FILE tekken=FILE          rank files (Tekken: its JSON); compared with tiktoken on 2 MB
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sysconfig
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tiktoken

from benchmarks import corpus, recording
from oomguard.preparation.encoding import splitters
from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file, load_tiktoken, read_ranks
from oomguard.preparation.encoding.native import SCRATCH_PER_BYTE, SLACK_TOKENS, Encoder, Status, Tier, Vocabulary
from oomguard.preparation.engines.memory_sum import Needs, plan_budget
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAP = 8_000_000
WINDOW = 1 << 18
SAFE_CUT = re.compile(rb"[0-9A-Za-z](?=[ \t\n\r])")
GIGATOKEN = {"r50k_base": "gpt2", "cl100k_base": "gpt4", "o200k_base": "o200k"}
FAMILIES = {"r50k_base": splitters.R50K, "cl100k_base": splitters.CL100K, "o200k_base": splitters.O200K}
ALSO = {"llama3": splitters.LLAMA3, "qwen": splitters.QWEN2, "tekken": splitters.TEKKEN}
Run = tuple["np.ndarray[Any, Any]", float]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """Pieces of about `size` bytes that can be encoded on their own."""
    at = 0
    while at < len(data):
        found = SAFE_CUT.search(data, min(len(data), at + size))
        end = found.end() if found else len(data)
        yield data[at:end]
        at = end


def usual_state(splitter: splitters.Splitter, token_bytes: int) -> int:
    """The cache_bits that a text gets with two workers and a budget of 512M."""
    needs = Needs(
        family=splitters.family_of(splitter),
        token_bytes=token_bytes,
        inputs=frozenset({"text"}),
        stream=False,
        native=True,
        verify=True,
        chunks=300,
    )
    return plan_budget(512 * MIB, needs=needs, workers=2, cpus=2).cache_bits


class Core:
    """The core, streaming."""

    def __init__(
        self, ranks: bytes, splitter: splitters.Splitter, *, token_bytes: int, tier: Tier | None = None
    ) -> None:
        # One buffer for all windows, as a job has it; what is kept for the comparison is copied while no clock runs.
        self._tokens = np.zeros(WINDOW + SLACK_TOKENS, np.uint16 if token_bytes == 2 else np.uint32)
        bits = usual_state(splitter, token_bytes)
        self._encoder = Encoder(Vocabulary.build(ranks), splitter, token_bytes=token_bytes, cache_bits=bits, tier=tier)
        self._scratch = bytearray(SCRATCH_PER_BYTE << 20)

    def __call__(self, lap: bytes) -> Run:
        view, at, spent, parts = memoryview(lap), 0, 0.0, []
        while at < len(lap):
            window = view[at : at + WINDOW]
            last = at + len(window) == len(lap)
            began = time.thread_time()
            done = self._encoder.encode(window, self._tokens, last=last, scratch=self._scratch)
            spent += time.thread_time() - began
            assert done.status is Status.DONE, done
            at += done.consumed
            parts.append(self._tokens[: done.tokens].copy())
        return np.concatenate(parts), spent


class Gigatoken:
    """The rival, by its fastest call."""

    def __init__(self, rank_file: Path, name: str) -> None:
        import gigatoken

        self._tokenizer = gigatoken.Tokenizer.from_tiktoken(
            str(rank_file), pretokenizer=GIGATOKEN[name], special_tokens={}
        )

    def __call__(self, lap: bytes) -> Run:
        pieces = list(cut(lap, WINDOW))
        began = time.thread_time()
        parts = [self._tokenizer.encode(piece) for piece in pieces]
        spent = time.thread_time() - began
        return np.concatenate(parts), spent


def with_tiktoken(encoding: tiktoken.Encoding) -> Callable[[bytes], Run]:
    """The reference."""

    def run(lap: bytes) -> Run:
        text = lap.decode()
        began = time.thread_time()
        tokens = encoding.encode_ordinary(text)
        return np.array(tokens, np.uint32), time.thread_time() - began

    return run


def texts(names: list[str], size: str) -> Iterator[tuple[str, bytes]]:
    """Each text, whole."""
    for name in names:
        if name in ("english", "random-words"):
            kind = "text" if name == "english" else name
            file = recording.DATA / f"core-{name}-{size}.txt"
            corpus.make(file, size=corpus.parse_size(size), kind=kind, seed=1)
            yield name, file.read_bytes()
        elif name == "multilingual":
            yield name, b"\n".join(file.read_bytes() for file in sorted(data_files("multilingual", "*.txt")))
        else:
            yield name, code()


def data_files(folder: str, pattern: str) -> list[Path]:
    """Files of the shared corpora."""
    return list(Path(os.environ["OOMGUARD_DATA"], "corpora", folder).glob(pattern))


def code(most: int = 40_000_000) -> bytes:
    """Python's library and the system's headers."""
    files = cycle([sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")), sorted(Path("/usr/include").rglob("*.h"))])
    parts = [
        file.read_bytes().decode(errors="replace").encode()
        for _, group in zip(range(2), files, strict=False)
        for file in group
    ]
    return b"\n".join(parts)[:most].decode(errors="ignore").encode()


def measure(data: bytes, encoders: dict[str, Any], sampled: dict[str, Any]) -> dict[str, Any]:
    """One pass, lap by lap, the encoders in turn."""
    seconds = dict.fromkeys(encoders, 0.0)
    halves: dict[str, list[float]] = {name: [] for name in encoders}
    size = differences = 0
    order = list(encoders)
    for number, lap in enumerate(cut(data, LAP)):
        size += len(lap)
        results = {}
        for name in order[number % len(order) :] + order[: number % len(order)]:
            results[name], spent = encoders[name](lap)
            seconds[name] += spent
            halves[name].append(len(lap) / spent / 1e6)
        first = results[order[0]]
        differences += sum(not np.array_equal(first, other) for other in results.values())
    sample = next(cut(data, 2_000_000))
    speeds = {name: size / spent / 1e6 for name, spent in seconds.items()}
    for name, run in sampled.items():
        tokens, spent = run(sample)
        speeds[name] = len(sample) / spent / 1e6
        differences += not np.array_equal(tokens, encoders[order[0]](sample)[0])
    return {
        "bytes": size,
        "differences": differences,
        "mb_per_cpu_second": {name: round(speed, 1) for name, speed in speeds.items()},
        "laps": {name: [round(lap) for lap in laps] for name, laps in halves.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", nargs="+", default=["english", "multilingual", "code", "random-words"])
    parser.add_argument("--encodings", nargs="+", default=list(GIGATOKEN))
    parser.add_argument("--size", default="300MB", help="of the texts that are made")
    parser.add_argument("--also", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--record", action="store_true", help="write core_speed.json into today's record")
    asked = parser.parse_args()
    rows = []
    for text_name, data in texts(asked.texts, asked.size):
        for name in asked.encodings:
            spec = find_encoding(name)
            rank_file = find_rank_file(spec)
            encoders = {
                "core": Core(rank_file.read_bytes(), FAMILIES[name], token_bytes=spec.token_bytes),
                "gigatoken": Gigatoken(rank_file, name),
            }
            reference = {"tiktoken": with_tiktoken(load_tiktoken(spec, rank_file))}
            rows.append({"text": text_name, "encoding": name} | measure(data, encoders, reference))
            show(rows[-1])
        cl100k = find_rank_file(find_encoding("cl100k_base")).read_bytes() if asked.also else b""
        for name, _, file in (also.partition("=") for also in asked.also):
            ranks = rank_text(Path(file))
            encoders = {
                name: Core(ranks, ALSO[name], token_bytes=4),
                "cl100k": Core(cl100k, splitters.CL100K, token_bytes=4),
            }
            rows.append({"text": text_name, "encoding": name} | measure_alone(data, encoders, ranks, name))
            show(rows[-1])
    if asked.record:
        (recording.new_record() / "core_speed.json").write_text(json.dumps(rows, indent=1) + "\n")


def measure_alone(data: bytes, encoders: dict[str, Any], ranks: bytes, name: str) -> dict[str, Any]:
    """Another vocabulary beside cl100k: speeds alone can be compared; its tokens with tiktoken's on a sample."""
    pattern = splitters.pattern_of(ALSO[name])
    row = measure(data[: 8 * LAP], {n: Counting(run) for n, run in encoders.items()}, {})
    sample = next(cut(data, 2_000_000))
    encoding = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks_of(ranks), special_tokens={})
    want, spent = with_tiktoken(encoding)(sample)
    row["differences"] = int(not np.array_equal(want, encoders[name](sample)[0]))
    row["mb_per_cpu_second"]["tiktoken"] = round(len(sample) / spent / 1e6, 1)
    return row


class Counting:
    """Hides tokens that cannot be compared."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def __call__(self, lap: bytes) -> Run:
        return np.zeros(0), self._run(lap)[1]


def rank_text(file: Path) -> bytes:
    """A rank file as it is, or made from Tekken's JSON: the tokens that its vocabulary of 131,072 takes, less 1,000."""
    if file.suffix != ".json":
        return file.read_bytes()
    tekken = json.loads(file.read_text())
    count = tekken["config"]["default_vocab_size"] - tekken["config"]["default_num_special_tokens"]
    return "".join(f"{token['token_bytes']} {token['rank']}\n" for token in tekken["vocab"][:count]).encode()


def ranks_of(text: bytes) -> dict[bytes, int]:
    """What read_ranks gives for a file."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(text)
        file.flush()
        return read_ranks(Path(file.name))


def show(row: dict[str, Any]) -> None:
    speeds = row["mb_per_cpu_second"]
    mine, rival, *_ = speeds.values()
    print(
        f"{row['text']:12} {row['encoding']:12} {speeds}  ratio {mine / rival:.2f}  differences {row['differences']}",
        flush=True,
    )


if __name__ == "__main__":
    main()
