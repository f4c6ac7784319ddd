"""A process of its own that says what is in a tokenizer's JSON file: `EncodingSpec` and special tokens, as JSON.

It also leaves the vocabulary block in the user's cache folder, where the run that asked will look for it.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.encoding.encodings import read_file

if TYPE_CHECKING:
    from oomguard.preparation.encoding.encodings import EncodingSpec


def main() -> None:
    """Answer for the file that is named on the command line."""
    file = Path(sys.argv[1])
    try:
        spec, special = describe(read_file(file), str(file))
    except BadInput as error:
        json.dump({"error": str(error), "do": error.do}, sys.stdout)
        return
    if spec.native:
        _keep_block(spec, file)
    json.dump({"spec": asdict(spec), "special": special}, sys.stdout)


def describe(data: bytes, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    """Give the tokenizer of a file, and its special tokens.

    Raises: BadInput if it is none that exact tokens can be had of; the file's name is left to the caller.
    """
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"this is not JSON: {error}", do="download the file again") from error
    if "model" in whole:
        from oomguard.preparation.encoding.tokenizer_json import read_tokenizer_json

        spec, special = read_tokenizer_json(data, whole, file=file)
    elif "config" in whole and "vocab" in whole:
        from oomguard.preparation.encoding.tekken import read_tekken

        spec, special = read_tekken(data, whole, file=file)
    else:
        raise BadInput(
            "this is neither a tokenizer.json nor a tekken.json",
            do="--tokenizer tokenizer.json (not tokenizer_config.json, config.json or vocab.json)",
        )
    return replace(spec, file_bytes=len(data)), special


def _keep_block(spec: EncodingSpec, file: Path) -> None:
    from oomguard.preparation.encoding.native import CoreUnavailable
    from oomguard.preparation.encoding.native_engine import load_vocabulary

    with contextlib.suppress(CoreUnavailable):  # then the reference does the work
        load_vocabulary(spec, file)


if __name__ == "__main__":
    main()
