"""What another process found in a tokenizer's JSON file."""

from __future__ import annotations

import hashlib
import json
import subprocess

from oomguard.errors import BadInput, WorkerFailed
from oomguard.kernel.process.commands import own_command
from oomguard.preparation.encoding.block_cache import keep, read_kept
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.native import ABI

_VERSION = 1  # of the answers: another one where other files are recognised, or other things said of them


def describe_apart(data: bytes, name: str, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    """Have another process look at a JSON file: a large one takes hundreds of MiB, which are gone when it ends.

    What it finds is kept in the user's cache folder, by the file's sha256.
    """
    kept = f"tokenizer-{hashlib.sha256(data).hexdigest()}-{ABI}-{_VERSION}"
    found = read_kept(kept)
    if found is None:
        run = subprocess.run(
            own_command("oomguard.preparation.encoding.describe", file), stdout=subprocess.PIPE, check=False
        )
        found = run.stdout
        if run.returncode:
            raise WorkerFailed(
                f"{name}: the process that looked at it ended with status {run.returncode}",
                do="run it again, with more memory",
            )
        if "error" not in (answer := json.loads(found)):
            keep(kept, found)
    answer = json.loads(found)
    if "error" in answer:
        raise BadInput(f"{name}: {answer['error']}", do=answer["do"])
    return EncodingSpec(**{**answer["spec"], "name": name, "file": file}), answer["special"]
