"""The ceiling: what gigatoken encodes from memory with 2 threads, nothing written. Four ways; the fastest counts.

Input already in memory, tokenizer loaded and warmed on the first 16 MiB before the clock starts; each way in a
process of its own. `--way NAME` runs one. At most the first GB is used: in memory the results are several times the
input.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["RAYON_NUM_THREADS"] = "2"

import gigatoken
from common import RANKS, finish, pieces

PIECE, WARM, MOST = 1 << 20, 16 << 20, 10**9


def new_tokenizer() -> gigatoken.Tokenizer:
    return gigatoken.Tokenizer.from_tiktoken(str(RANKS), pretokenizer="gpt2", special_tokens={})


def first_pieces(source: str) -> list[bytes]:
    held, size = [], 0
    for piece in pieces(source, PIECE):
        held.append(piece)
        size += len(piece)
        if size >= MOST:
            break
    return held


def batch(source: str) -> tuple[int, int, float]:
    tokenizer, parts = new_tokenizer(), first_pieces(source)
    tokenizer.encode_batch(parts[: WARM // PIECE], parallel=True)
    began = time.monotonic()
    encoded = tokenizer.encode_batch(parts, parallel=True)
    return sum(map(len, parts)), encoded.layout.content.length, time.monotonic() - began


def files(source: str) -> tuple[int, int, float]:
    tokenizer = new_tokenizer()
    tokenizer.encode_batch([next(pieces(source, WARM))], parallel=True)
    began = time.monotonic()
    encoded = tokenizer.encode_files(gigatoken.TextFileSource([source]), parallel=True)
    return Path(source).stat().st_size, encoded.layout.content.length, time.monotonic() - began


def two_threads(source: str) -> tuple[int, int, float]:
    parts = first_pieces(source)
    shares = [(new_tokenizer(), iter(parts[start::2])) for start in (0, 1)]

    def encode(share: tuple[gigatoken.Tokenizer, list[bytes]]) -> int:
        tokenizer, own = share
        return sum(tokenizer.encode_batch([piece], parallel=False).layout.content.length for piece in own)

    with ThreadPoolExecutor(2) as pool:
        for tokenizer, _ in shares:
            tokenizer.encode_batch(parts[: WARM // PIECE], parallel=False)
        began = time.monotonic()
        tokens = sum(pool.map(encode, shares))  # type: ignore[arg-type]  # gigatoken has no types
        return sum(map(len, parts)), tokens, time.monotonic() - began


def _encode_half(source: str, start: int, ready: mp.Barrier, results: mp.Queue) -> None:  # type: ignore[type-arg,valid-type]
    tokenizer, parts = new_tokenizer(), first_pieces(source)
    own = parts[start::2]
    for piece in parts[: WARM // PIECE]:
        tokenizer.encode(piece)
    ready.wait()  # type: ignore[attr-defined]  # multiprocessing's own
    began = time.monotonic()
    tokens = sum(len(tokenizer.encode(piece)) for piece in own)
    results.put((sum(map(len, own)), tokens, began, time.monotonic()))  # type: ignore[attr-defined]  # multiprocessing's own


def two_processes(source: str) -> tuple[int, int, float]:
    context = mp.get_context("spawn")
    ready, results = context.Barrier(2), context.Queue()
    for start in (0, 1):
        context.Process(target=_encode_half, args=(source, start, ready, results)).start()
    sizes, tokens, begins, ends = zip(results.get(), results.get(), strict=True)
    return sum(sizes), sum(tokens), max(ends) - min(begins)


WAYS = {"encode_batch": batch, "encode_files": files, "two threads": two_threads, "two processes": two_processes}

if __name__ == "__main__":
    if "--way" in sys.argv:
        size, tokens, seconds = WAYS[sys.argv[-1]](sys.argv[1])
        print(json.dumps({"bytes": size, "tokens": tokens, "seconds": seconds, "MB_per_second": size / seconds / 1e6}))
    else:
        ways = {}
        for way in WAYS:
            if way == "encode_files" and Path(sys.argv[1]).stat().st_size > 1.1 * MOST:
                continue  # it takes whole files only
            line = subprocess.run(
                [sys.executable, __file__, sys.argv[1], "--way", way], stdout=subprocess.PIPE, check=True
            ).stdout
            ways[way] = json.loads(line)
        best = max(ways, key=lambda way: ways[way]["MB_per_second"])
        finish(ways[best]["tokens"], [], ways=ways, best=best, MB_per_second=ways[best]["MB_per_second"])
