"""What every rival shares: the reference encoding, exact cuts, and the one line of JSON at the end.

A rival is called as `python rivals/x.py INPUT OUT_DIR`, from anywhere. compare.py sets BENCH_HASH=0 and hashes the
files itself when the process has ended, so that no rival pays for it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    import tiktoken

EOT = 50256
RANKS = Path(__file__).resolve().parents[2] / "oomguard" / "preparation" / "encoding" / "vocab" / "r50k_base.tiktoken"
BETWEEN_DOCUMENTS = b"\n\n"
_SAFE_CUT = re.compile(rb"(?s:.*)[0-9A-Za-z](?=[ \t\r\n])")  # up to the last one: GPT-2 splits here for certain

SECONDS: dict[str, float] = {}
_marks = [time.monotonic()]


def phase(name: str) -> None:
    """The time since the last call (or the start) belongs to `name`."""
    _marks.append(time.monotonic())
    SECONDS[name] = round(_marks[-1] - _marks[-2], 3)


def gpt2_encoding() -> tiktoken.Encoding:
    """GPT-2 from the ranks in this package: no network, and 6 times quicker to load than tiktoken's own gpt2."""
    import tiktoken

    pattern = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    lines = (line.split() for line in RANKS.read_bytes().splitlines())
    ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    return tiktoken.Encoding("gpt2", pat_str=pattern, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": EOT})


def pieces(path: str, size: int) -> Iterator[bytes]:
    """A file in pieces of about `size` bytes whose tokens are those of the whole file."""
    with Path(path).open("rb") as file:
        held = b""
        while block := file.read(size):
            held += block
            if cut := _SAFE_CUT.match(held):
                yield held[: cut.end()]
                held = held[cut.end() :]
        if held:
            yield held


def documents(path: str, start: int = 0, end: int | None = None) -> Iterator[str]:
    """The documents of a text, between blank lines; those that begin in bytes start..end, for parallel readers."""
    end = Path(path).stat().st_size if end is None else end
    with Path(path).open("rb") as file:
        begin = _back_to_text(file, max(start - 2, 0)) if start else 0
        file.seek(begin)
        held, whole_first = file.read(1 << 20), start == 0
        while begin < end:
            *whole, rest = held.split(BETWEEN_DOCUMENTS)
            for document in whole:
                # The first stretch after a jump is the end of a document that began before `start`.
                if document and whole_first and start <= begin < end:
                    yield document.decode()
                whole_first = True
                begin += len(document) + 2
            if not (more := file.read(1 << 20)):
                if rest and whole_first and start <= begin < end:
                    yield rest.decode()
                return
            held = rest + more


def _back_to_text(file: BinaryIO, at: int) -> int:
    """The place of the last byte before or at `at` that is no newline: a run of newlines is split from its start."""
    while at > 0:
        file.seek(at)
        if file.read(1) != b"\n":
            break
        at -= 1
    return at


def finish(tokens: int, files: list[Path], **more: object) -> None:
    """Print the line. `tokens` counts every id written, the end-of-text ones too."""
    result = {"tokens": tokens, "seconds": dict(SECONDS), "files": [str(file) for file in files], **more}
    if files and os.environ.get("BENCH_HASH") != "0":
        from token_stream import stream_sha256

        result |= stream_sha256(files)
    print(json.dumps(result))


def arguments() -> tuple[str, Path]:
    """INPUT and OUT_DIR, which is made."""
    out = Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    return sys.argv[1], out


def fsync(path: Path) -> None:
    """The same duty for all: what is reported as written survives a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
