"""Hugging Face's tokenizer.json: what is in it, and whether the core gives its tokens.

A tokenizer is recognised by all that decides about tokens: normalizer, sequence of pre-tokenizers, pattern, model and
merges, added tokens; never by its name. A key that is not known here is a reason to leave it to the library.
Source: tokenizers/src/{pre_tokenizers,normalizers,models/bpe}/*.rs, version 0.23.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.preparation.encoding.encodings import EncodingSpec
from oomguard.preparation.encoding.json_ranks import pair_of, tokens_of
from oomguard.preparation.encoding.splitters import PATTERNS, family_of, find_splitter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from oomguard.preparation.encoding.safe_cuts import Family

# DeepSeek's have a full-width bar, and U+2581 for a blank.
_ENDS = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<eos>")
_BEGINS = ("<|begin_of_text|>", "<s>", "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<bos>", "<|startoftext|>")
_MODEL_KEYS = {
    "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
    "ignore_merges", "vocab", "merges",
}  # fmt: skip
_OTHERS = "--tokenizer a tokenizer.json of a byte-level BPE, such as GPT-2's, Llama 3's or Qwen's"
# DeepSeek V3's, in its order. No part of it sees more than the byte rule of safe cuts allows for.
_DEEPSEEK = [
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    (
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
        "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
    ),
]
_BITS = 20
_BYTES = 256


def read_tokenizer_json(data: bytes, whole: dict[str, Any], *, file: str) -> tuple[EncodingSpec, dict[str, int]]:
    """Give the tokenizer of a file, and its special tokens.

    Raises: BadInput if no exact tokens of it can be had, naming why.
    """
    model = whole.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), (dict, list)):
        raise BadInput("there is no model in it", do="download the file again")
    _refuse(whole, model)
    added = [token for token in whole.get("added_tokens") or [] if isinstance(token, dict)]
    special = {str(token["content"]): int(token["id"]) for token in added if token.get("special")}
    plain = {str(token["content"]): int(token["id"]) for token in added if not token.get("special")}
    pattern = _pattern_of(whole.get("pre_tokenizer"))
    nfc = _is_nfc(whole.get("normalizer"))
    why = _why_slow(whole, model, added, pattern=pattern, nfc=nfc)
    splitter = find_splitter(pattern or "")
    family: Family = _cuts_of(whole, added, nfc=nfc)
    if not why and splitter is not None:
        base = family_of(splitter)
        family = f"{base}-spaced" if plain else base  # type: ignore[assignment]  # one of Family's
    spec = EncodingSpec(
        name=file,
        family=family,
        sha256=hashlib.sha256(data).hexdigest(),
        eot=_only_one(special, _ENDS),
        bos=_only_one(special, _BEGINS),
        vocabulary_size=max([*model["vocab"].values(), *special.values(), *plain.values()], default=-1) + 1,
        form="huggingface",
        file=file,
        pattern=pattern if not why and pattern else "",
        native=not why,
        why_slow=why,
        nfc=bool(nfc) and not why,
        added=() if why else tuple(plain.items()),
        added_first=any(token.get("normalized") is False for token in added if not token.get("special")),
    )
    return spec, special | plain


def _only_one(special: Mapping[str, int], names: Iterable[str]) -> int:
    found = [special[name] for name in names if name in special]
    return found[0] if len(found) == 1 else -1


def _refuse(whole: Mapping[str, Any], model: Mapping[str, Any]) -> None:
    kind = model.get("type", "of an unnamed kind")
    if kind != "BPE":
        raise BadInput(f"its model is {kind}, and only byte-level BPE is exact for parts of a text", do=_OTHERS)
    if model.get("dropout"):
        raise BadInput(
            f"BPE with dropout {model['dropout']} gives different tokens each time, so none are right",
            do='set "dropout": null in the file\'s "model"',
        )
    if not _has_byte_level(whole.get("pre_tokenizer")):
        raise BadInput("its BPE is not byte-level (no ByteLevel among its pre-tokenizers)", do=_OTHERS)


def _parts(step: Any, key: str) -> list[Any]:
    """The steps of a Sequence, however deep, or the only one."""
    if isinstance(step, dict) and step.get("type") == "Sequence" and isinstance(step.get(key), list):
        return [part for inner in step[key] for part in _parts(inner, key)]
    return [] if step is None else [step]


def _has_byte_level(step: Any) -> bool:
    return any(isinstance(part, dict) and part.get("type") == "ByteLevel" for part in _parts(step, "pretokenizers"))


def _is_byte_level(step: Any, *, use_regex: bool) -> bool:
    return (
        isinstance(step, dict)
        and step.keys() <= {"type", "add_prefix_space", "trim_offsets", "use_regex"}
        and step.get("type") == "ByteLevel"
        and step.get("add_prefix_space") is False
        and step.get("use_regex", True) is use_regex
    )


def _split_regex(step: Any) -> str | None:
    """The regular expression of a Split that keeps all of the text, in parts."""
    if not isinstance(step, dict) or step.keys() != {"type", "pattern", "behavior", "invert"}:
        return None
    isolated = (step["behavior"], step["invert"]) == ("Isolated", False)
    regex = step["pattern"].get("Regex") if isinstance(step["pattern"], dict) else None
    return regex if step["type"] == "Split" and isolated and isinstance(regex, str) else None


def _pattern_of(step: Any) -> str | None:
    """The pattern that a sequence of pre-tokenizers splits by, if it is one of the core's and nothing else splits."""
    match _parts(step, "pretokenizers"):
        case [only] if _is_byte_level(only, use_regex=True):
            return PATTERNS["r50k"]  # written differently there; the same words
        case [split, last] if _is_byte_level(last, use_regex=False):
            regex = _split_regex(split)
            return regex if regex is not None and find_splitter(regex) is not None else None
    return None


def _is_nfc(step: Any) -> bool | None:
    """Whether the text becomes NFC; None if something else happens to it."""
    steps = _parts(step, "normalizers")
    return bool(steps) if all(one == {"type": "NFC"} for one in steps) else None


def _why_slow(
    whole: Mapping[str, Any],
    model: Mapping[str, Any],
    added: list[dict[str, Any]],
    *,
    pattern: str | None,
    nfc: bool | None,
) -> str:
    """Why the core cannot be sure to give the file's tokens; "": it gives them."""
    if nfc is None:
        return "its normalizer is not NFC alone"
    if pattern is None:
        return "its pre-tokenizers are none of those that the core knows"
    if whole.keys() - {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                       "post_processor", "decoder", "model"}:  # fmt: skip
        return "it has unknown keys"
    if model.keys() - _MODEL_KEYS or model.get("byte_fallback"):
        return "its model has settings that the core does not know"
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return "its tokens have a prefix or suffix"
    return _why_not_added(added) or _why_not_merges(model, {str(token["content"]) for token in added})


def _why_not_added(added: list[dict[str, Any]]) -> str:
    plain = [token for token in added if not token.get("special")]
    if any(token.get(flag) for token in plain for flag in ("single_word", "lstrip", "rstrip")):
        return "it has added tokens that depend on what is around them"
    names = [str(token["content"]) for token in plain]
    if any(not re.fullmatch(r"[!-~]{2,}", name) for name in names) or len({name[:1] for name in names}) > 1:
        return "it has added tokens that are not of the form <name>"
    if len({token.get("normalized") for token in plain}) > 1:
        return "some of its added tokens are looked for before normalization and some after it"
    return ""


def _why_not_merges(model: Mapping[str, Any], added: set[str]) -> str:
    try:
        tokens, vocabulary = tokens_of(model, added)
        merges = [pair_of(merge, vocabulary) for merge in model.get("merges") or []]
    except (KeyError, TypeError, ValueError):
        return "its merges or its vocabulary are written in an unknown way"
    if len(set(tokens.values())) < len(tokens) or max(tokens.values(), default=0) >= (1 << 20) - 1:
        return "its ids are too high, or two of its tokens have the same"
    return find_difference(tokens, merges, whole_words=model.get("ignore_merges") is True) or ""


def _cuts_of(whole: Mapping[str, Any], added: list[dict[str, Any]], *, nfc: bool | None) -> Family:
    """Where a text may be cut for the library: "blanks" for sequences that were proved, else nowhere."""
    if nfc is None or any(
        token.get(flag) for token in added for flag in ("single_word", "lstrip", "rstrip") if not token.get("special")
    ):
        return "none"
    if any(re.search(r"\s", str(token["content"])) for token in added):
        return "none"
    steps = _parts(whole.get("pre_tokenizer"), "pretokenizers")
    match steps:
        case [{"type": "Digits", "individual_digits": bool(), **rest}, last] if not rest and _is_byte_level(
            last, use_regex=True
        ):
            return "blanks"
        case [only] if _is_byte_level(only, use_regex=True):
            return "blanks"
        case [*splits, last] if _is_byte_level(last, use_regex=False):
            regexes = [_split_regex(split) for split in splits]
            known = len(regexes) == 1 and find_splitter(regexes[0] or "") is not None
            return "blanks" if known or regexes == _DEEPSEEK else "none"
    return "none"


# Whether merging any two tokens whose bytes are a token gives what a list of merges gives, on every text.
#
# The core, like tiktoken, knows tokens and their order: it joins two neighbours whenever their bytes are a token, the
# lowest first, the leftmost first among equals. Hugging Face's tokenizers joins only the pairs in its list. Let the
# list be in the order of the tokens that it makes. Then both give the same if for each token either every way to
# divide it into two tokens is in the list, or the list makes it of its own bytes.
#
# Proof. Take a shortest text on which they differ, and the first step at which they do: the core joins (x, y) to t,
# and that pair is not in the list, or it is and the list would join another pair of t's first. What lies between two
# borders that still stand was merged as it would be alone, since the pick of the lowest leftmost pair, seen from
# there, is the pick among the pairs there. So the bytes of t alone come to (x, y). A second pair of t elsewhere would
# have come from the same bytes in the same way, so it is the same pair, and ties are settled alike. If (x, y) is not
# in the list, the list leaves the bytes of t as (x, y), though it was to make t of them: a contradiction.


def find_difference(
    tokens: Mapping[bytes, int], merges: Iterable[tuple[bytes, bytes]], *, whole_words: bool
) -> str | None:
    """Say why the two may differ; None if they cannot.

    tokens: the bytes of each and its id. whole_words: a word that is a token is that token, merges or no merges, which
    is what the core does; else each token must come of its merges as well.
    """
    order = sorted((word for word in tokens if len(word) > 1), key=tokens.__getitem__)
    number = {bytes([byte]): byte for byte in range(_BYTES)}
    if any(word not in tokens for word in number):
        return "a byte has no token of its own"
    number.update((word, _BYTES + place) for place, word in enumerate(order))
    pairs: dict[int, int] = {}
    made_of: dict[int, list[tuple[int, int]]] = {}
    latest = 0
    for left, right in merges:
        made = number.get(left + right, -1)
        if made < latest:
            return "its merges are not in the order of its ids"
        latest = made
        pair = number[left], number[right]
        if pairs.setdefault(pair[0] << _BITS | pair[1], made) != made or (made_of.get(made, [None])[-1] == pair):
            return "a merge is listed twice"
        made_of.setdefault(made, []).append(pair)
    parts: list[tuple[int, int] | None] = [None] * (_BYTES + len(order))  # of each token that merges make
    for made, word in enumerate(order, _BYTES):
        ways = made_of.get(made, [])
        parts[made] = next((way for way in ways if _is_made(pairs, parts, way, made)), None)
        if parts[made] is not None:
            continue
        if not whole_words:
            return f"no merges make its token {tokens[word]}"
        splits = [(number.get(word[:cut]), number.get(word[cut:])) for cut in range(1, len(word))]
        if {split for split in splits if None not in split} - set(ways):
            return f"its merges do not make its token {tokens[word]}, and other merges might"
    return None


def _is_made(pairs: Mapping[int, int], parts: list[tuple[int, int] | None], way: tuple[int, int], made: int) -> bool:
    """Whether the bytes of `way` come to these two tokens: no merge across their border comes before one beside it.

    The merges beside the border are undone, the latest first. `limit`: a merge across it comes too late from there on.
    """
    left, right = way
    if any(token >= _BYTES and parts[token] is None for token in way):
        return False
    limit = made
    while True:
        if pairs.get(left << _BITS | right, limit) < limit:
            return False
        if left < _BYTES and right < _BYTES:
            return True
        # Of two equal merges the left one came first, so the right one is undone first.
        if left > right:
            limit = left
            left = (parts[left] or way)[1]
        else:
            limit = right + 1
            right = (parts[right] or way)[0]
