"""Tokenizers: text in, a list of Python ints out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, LAST_NAMES
from oomguard.script_analysis.interpreter.values import LISTS, AbstractValue

if TYPE_CHECKING:
    import ast

    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


_TOKENIZERS = re.compile(r"(^|[._])(enc|encoder|encoding|tok|tokenizer|tokeniser|tkn|bpe|sp|hf_tok\w*)$", re.IGNORECASE)
_MAKES = re.compile(r"^_?(get|build|make|create|load|init|setup|new|train|save)_", re.IGNORECASE)
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
    """Whether a value of this name is called to make token ids of a text."""
    last = name.rpartition(".")[2]
    return bool(_TOKENIZERS.search(name)) and not _MAKES.match(last)


def encode(
    it: Expressions,
    node: ast.AST,
    args: list[AbstractValue],
    kwargs: dict[str, AbstractValue],
    *,
    wrapped: bool = False,
    name: str = "",
) -> AbstractValue:
    """Text to token ids: a list of Python ints, or of such lists."""
    text = args[0] if args else next((kwargs[key] for key in ("text", "texts") if key in kwargs), AbstractValue())
    tensors = kwargs.get("return_tensors")
    if name == "encode_to_numpy" or (tensors is not None and tensors.value is not None):
        made = (
            it.memory.make("array-of-list", node, "array8" if tensors else "array4", text.fraction)
            if text.fraction
            else it.memory.new("array4", of_input=text.of_input)
        )
    elif text.fraction > 0 and text.kind in (*LISTS, "column", "stream", "file", "json"):
        made = it.memory.make("token-list", node, "token_lists", text.fraction, each=text.each)
    elif text.fraction > 0:
        made = it.memory.make(
            "token-list",
            node,
            "tokens",
            text.fraction,
            representation="tokens_whole",
            more=_utf8_copy(it, text),
            each=text.each,
        )
    elif text.kind in (*LISTS, "list") and text.kind != "tokens":
        made = it.memory.new("token_lists", of_input=text.of_input)
    else:
        made = it.memory.new(
            "tokens", of_input=text.of_input or (text.kind in ("unknown", "text") and not text.is_constant)
        )
    if wrapped or name in ("batch_encode_plus", "encode_plus"):
        return it.memory.new("encoding", item=made, of_input=made.of_input, parts={"ids": made, "input_ids": made})
    return made


def _utf8_copy(it: Expressions, text: AbstractValue) -> float:
    """Tiktoken leaves a UTF-8 copy in a text that is not ASCII, for as long as the text lives."""
    if it.memory.shape.widest == 1:
        return 0.0
    text.parts["utf8"] = AbstractValue(kind="bytes", fraction=text.fraction, each=text.each)
    return 0.0  # counted with the text from now on


def _decoded(it: Expressions, call: Call) -> AbstractValue | None:
    """A text for each list of ids."""
    if call.owner.kind != "tokenizer":
        return None
    return it.memory.new("documents", of_input=True)


def apply(it: Expressions, node: ast.Call, function: AbstractValue, *items: AbstractValue) -> AbstractValue:
    """Give what `function` gives for one item, as map() and pools call it."""
    if function.kind in ("function", "class", "module", "bound", "partial", "choice"):
        return it.call(node, function, list(items), {})
    if function.kind == "tokenizer":
        return encode(it, node, list(items), {})
    if it.special(function, "__call__") is not None:
        return it.call(node, function, list(items), {})
    return it.unknown_call("", list(items), node=node)


def _train(it: Expressions, call: Call) -> AbstractValue:
    """SentencePiece reads all sentences into memory before it begins."""
    if "input_sentence_size" in call.kwargs:
        return AbstractValue()
    it.memory.read_at(call.node)
    return it.memory.make("trainer", call.node, "lines", 1.0)


def _count_words(it: Expressions, call: Call) -> AbstractValue | None:
    """Training a tokenizer: a count for every word that there is, and the pairs in it."""
    if call.name == "train" and call.owner.kind != "tokenizer":
        return None
    it.memory.cannot_see(call.node, "training keeps a count of every different word and of the pairs in it")
    it.memory.read_at(call.node)
    return AbstractValue(kind="tokenizer")


def _tokenizer(*_: object) -> AbstractValue:
    return AbstractValue(kind="tokenizer")


LAST_NAMES.update(dict.fromkeys(("get_encoding", "encoding_for_model", "from_pretrained", "from_file"), _tokenizer))
FUNCTIONS.update(dict.fromkeys(
    ("sentencepiece.SentencePieceTrainer.train", "sentencepiece.SentencePieceTrainer.Train",
     "SentencePieceTrainer.train", "SentencePieceTrainer.Train"), _train,
))  # fmt: skip
ANYWHERE.update(
    {
        **dict.fromkeys(("train_from_iterator", "train_new_from_iterator", "train"), _count_words),
        **dict.fromkeys(("get_encoding", "encoding_for_model", "from_pretrained", "from_file"), _tokenizer),
        **dict.fromkeys(("batch_decode", "decode_batch"), _decoded),
    }
)
