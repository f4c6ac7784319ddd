"""Mistral's tekken.json: a pattern, tokens with their ranks, and special tokens, whose ids come first.

Source: mistral_common/tokens/tokenizers/tekken.py.
"""

from __future__ import annotations

import hashlib
from typing import Any

from oomguard.errors import BadInput
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.splitters import family_of, find_splitter

_BOS, _EOS = "<s>", "</s>"
_OLD_SPECIAL = {"<unk>": 0, _BOS: 1, _EOS: 2}  # of files that do not name theirs


def read_tekken(data: bytes, whole: dict[str, Any], *, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    """Give the tokenizer of a tekken.json, and its special tokens.

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
