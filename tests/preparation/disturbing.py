"""What the tests share that end runs on the way: jobs that take long enough, and what they have written so far."""

import hashlib
from pathlib import Path

SEPARATOR = "\n==\n"
# tiktoken encodes all of it again, which takes some ten times as long: time enough to do harm.
SLOW = ("--verify", "full", "--workers", "1")
FORMATS = {
    "nanogpt": ("--separator", r"\n==\n", "--val-fraction", "0.05"),
    "undivided": ("--val-fraction", "0.4"),
    "llmc": ("--format", "llmc", "--shard-tokens", "100000", "--separator", r"\n==\n"),
}


def sums_of(folder: Path) -> dict[str, str]:
    """The sha256 of each file that is directly in a folder."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


def bytes_written(folder: Path) -> int:
    """Of all shards in an output folder, finished or not."""
    size = 0
    for pattern in ("*.bin", ".oomguard/*.partial"):
        for file in folder.glob(pattern):
            try:
                size += file.stat().st_size
            except FileNotFoundError:
                continue  # it has got its name in this moment
    return size
