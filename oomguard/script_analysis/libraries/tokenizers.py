"""Tokenizers: text in, a list of Python ints out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import LISTS, Thing

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Handler
    from oomguard.script_analysis.interpreter.expressions import Expressions


_TOKENIZERS = re.compile(r"(^|[._])(enc|encoder|encoding|tok|tokenizer|tokeniser|tkn|bpe|sp|hf_tok\w*)$", re.IGNORECASE)
ENCODERS = frozenset(
    {
        "encode_ordinary",
        "encode",
        "encode_with_unstable",
        "EncodeAsIds",
        "encode_as_ids",
        "Encode",
        "convert_tokens_to_ids",
        "encode_batch",
        "encode_ordinary_batch",
        "batch_encode_plus",
        "batch_encode",
        "tokenize",
        "encode_plus",
        "encode_batch_fast",
        "encode_to_numpy",
    }
)


def is_tokenizer(name: str) -> bool:
    """Whether a thing of this name is called to make token ids of a text."""
    return bool(_TOKENIZERS.search(name))


def encode(
    it: Expressions,
    node: ast.AST,
    args: list[Thing],
    kwargs: dict[str, Thing],
    *,
    wrapped: bool = False,
    name: str = "",
) -> Thing:
    """Text to token ids: a list of Python ints, or of such lists."""
    text = args[0] if args else next((kwargs[key] for key in ("text", "texts") if key in kwargs), Thing())
    tensors = kwargs.get("return_tensors")
    if name == "encode_to_numpy" or (tensors is not None and tensors.value is not None):
        made = (
            it.ledger.make("array-of-list", node, "array8" if tensors else "array4", text.share)
            if text.share
            else it.ledger.new("array4", of_input=text.of_input)
        )
    elif text.share > 0 and text.sort in (*LISTS, "column", "stream", "file", "json"):
        made = it.ledger.make("token-list", node, "token_lists", text.share)
    elif text.share > 0:
        made = it.ledger.make("token-list", node, "tokens", text.share, way="tokens_whole", more=_utf8_copy(it, text))
    elif text.sort in (*LISTS, "list") and text.sort != "tokens":
        made = it.ledger.new("token_lists", of_input=text.of_input)
    else:
        made = it.ledger.new("tokens", of_input=text.of_input or text.sort in ("unknown", "text"))
    if wrapped or name in ("batch_encode_plus", "encode_plus"):
        return it.ledger.new("encoding", item=made, of_input=made.of_input, parts={"ids": made, "input_ids": made})
    return made


def _utf8_copy(it: Expressions, text: Thing) -> float:
    """Tiktoken leaves a UTF-8 copy in a text that is not ASCII, for as long as the text lives."""
    if it.ledger.shape.widest == 1:
        return 0.0
    text.parts["utf8"] = Thing(sort="bytes", share=text.share)
    return 0.0  # counted with the text from now on


def apply(it: Expressions, node: ast.Call, function: Thing, item: Thing) -> Thing:
    """Give what `function` gives for one item, as map() and pools call it."""
    if function.sort in ("function", "class", "module"):
        return it.call(node, function, [item], {})
    if function.sort == "tokenizer":
        return encode(it, node, [item], {})
    return it.unknown_call("", [item])


def _tokenizer(*_: object) -> Thing:
    return Thing(sort="tokenizer")


LAST_NAMES: dict[str, Handler] = dict.fromkeys(
    ("get_encoding", "encoding_for_model", "from_pretrained", "from_file"), _tokenizer
)
