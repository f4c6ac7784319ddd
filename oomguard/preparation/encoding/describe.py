"""A process of its own that says what is in a tokenizer's JSON file: `EncodingSpec` and special tokens, as JSON.

It also leaves the vocabulary block in the user's cache folder, where the run that asked will look for it.
Source of tekken.json: mistral_common/tokens/tokenizers/tekken.py.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from oomguard.errors import BadInput
from oomguard.preparation.encoding.encodings import EncodingSpec, read_file
from oomguard.preparation.encoding.splitters import family_of, find_splitter

_BOS, _EOS = "<s>", "</s>"
_OLD_SPECIAL = {"<unk>": 0, _BOS: 1, _EOS: 2}  # of files that do not name theirs


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
        spec, special = _read_tekken(data, whole, file=file)
    else:
        raise BadInput(
            "this is neither a tokenizer.json nor a tekken.json",
            do="--tokenizer tokenizer.json (not tokenizer_config.json, config.json or vocab.json)",
        )
    return replace(spec, file_bytes=len(data)), special


def _read_tekken(data: bytes, whole: dict[str, Any], *, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    """Give the tokenizer of Mistral's tekken.json, and its special tokens, whose ids come first.

    Raises: BadInput if it is not one that is known.
    """
    config = whole["config"]
    try:
        size, special = int(config["default_vocab_size"]), int(config["default_num_special_tokens"])
        pattern = str(config["pattern"])
        named = {str(token["token_str"]): int(token["rank"]) for token in whole.get("special_tokens") or []}
        ranks = [int(token["rank"]) for token in whole["vocab"][: size - special]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"not a known kind of tekken.json: {error!r}", do="download the file again") from error
    splitter = find_splitter(pattern)
    if splitter is None or ranks != list(range(size - special)):
        what = "its pattern is unknown" if splitter is None else "its ranks are not in order"
        raise BadInput(what, do="--tokenizer tokenizer.json, if the model has one too")
    named = named or _OLD_SPECIAL
    spec = EncodingSpec(
        name=file,
        family=family_of(splitter),
        sha256=hashlib.sha256(data).hexdigest(),
        eot=named.get(_EOS, -1),
        bos=named.get(_BOS, -1),
        vocabulary_size=size,
        form="tekken",
        file=file,
        pattern=pattern,
        first_id=special,
        rank_count=size - special,
    )
    return spec, named


def _keep_block(spec: EncodingSpec, file: Path) -> None:
    from oomguard.preparation.encoding.native import CoreUnavailable
    from oomguard.preparation.encoding.native_engine import load_vocabulary

    with contextlib.suppress(CoreUnavailable):  # then the reference does the work
        load_vocabulary(spec, file)


if __name__ == "__main__":
    main()
