"""Elements, slices and attributes: what a part of a thing is."""

from __future__ import annotations

import ast

from oomguard.script_analysis.interpreter.interpretation import Interpretation
from oomguard.script_analysis.interpreter.values import ARRAYS, FRAMES, LISTS, TEXTS, TOKEN_POINTER, Thing
from oomguard.script_analysis.libraries import registry as known
from oomguard.script_analysis.libraries.tables import FRAME_METHODS
from oomguard.script_analysis.libraries.tokenizers import ENCODERS

_SPLITS = {"train", "validation", "test", "val", "valid", "dev"}


class Elements(Interpretation):
    """What `a[b]` and `a.b` give."""

    def see_Subscript(self, node: ast.Subscript) -> Thing:
        owner = self.evaluate(node.value)
        if isinstance(node.slice, ast.Slice):
            return self._slice(node, owner)
        index = self.evaluate(node.slice)
        key = index.value
        if owner.sort == "tuple" and str(key) in owner.parts:
            return owner.parts[str(key)]
        if owner.sort == "dataset" or (owner.sort == "stream" and owner.value == "dataset"):
            if not isinstance(key, str) or key in _SPLITS:
                return owner
            return (
                self.ledger.make("list-of-input", node, "documents", owner.share, way="dataset_column")
                if owner.share and owner.sort == "dataset"
                else Thing()
            )
        if owner.sort in FRAMES:
            return Thing(
                sort="column", share=owner.share, weight=0.0, of_input=True, parts={"of": owner}, born=owner.born
            )
        if owner.sort == "json":
            return owner
        if owner.sort == "encoding":
            return owner.one()
        if owner.sort == "record":
            return self.ledger.new("document", of_input=True, weight=owner.weight)
        if owner.sort == "words":
            return self.ledger.new("line", of_input=owner.of_input)
        if owner.sort in ("list", "dict") and owner.item is None:
            return next((part for part in owner.parts.values() if part.share > 0), owner)
        if owner.share > 0 or owner.of_input:
            return owner.one()
        return Thing(sort="path_of_many" if owner.sort == "paths" else "unknown", of_input=owner.of_input)

    def _slice(self, node: ast.Subscript, owner: Thing) -> Thing:
        assert isinstance(node.slice, ast.Slice)
        low, high = (self.evaluate(end) if end is not None else None for end in (node.slice.lower, node.slice.upper))
        if owner.sort == "dataset":
            return self.ledger.make(
                "list-of-input", node, "records", owner.share if low is None and high is None else 0.0
            )
        if owner.share <= 0 and owner.sort in ("list", "bytes", "chunk", *LISTS, *TEXTS):
            return self.ledger.new(owner.sort, of_input=owner.of_input, item=owner.item)  # another object
        if owner.share <= 0 or owner.sort not in (*LISTS, *TEXTS, *ARRAYS, "bytes", "mapped", "column"):
            return owner
        share = owner.share * _sliced(low, high)
        if owner.sort in LISTS:
            return self.ledger.new(
                owner.sort, share=share, weight=owner.weight * TOKEN_POINTER, of_input=True, parts={"of": owner}
            )
        if owner.sort in ("column", *ARRAYS):
            return self.ledger.new(owner.sort, share=share, weight=0.0, of_input=True, parts={"of": owner})
        with self.ledger.keeping([owner]):
            sort = "bytes" if owner.sort == "mapped" else owner.sort
            if share == 0:
                return self.ledger.new("chunk" if sort == "bytes" else "document", of_input=True)
            return self.ledger.make("copy", node, sort, share, way="joined" if sort in TEXTS else "")

    def see_Attribute(self, node: ast.Attribute) -> Thing:
        owner = self.evaluate(node.value)
        name = node.attr
        if name in owner.parts:
            return owner.parts[name]
        if name in ENCODERS and owner.sort not in (*TEXTS, "bytes", "chunk"):
            return Thing(sort="tokenizer", value=name)
        if owner.sort == "object" and name in owner.parts.get("class", Thing()).parts:
            return owner.parts["class"].parts[name]
        if owner.sort == "module":
            return known.attribute(self.ledger, f"{owner.value}.{name}")
        if name in self.defaults and owner.sort in ("unknown", "parameter"):
            return Thing(
                sort="number" if isinstance(self.defaults[name], (int, float)) else "unknown", value=self.defaults[name]
            )
        if owner.sort in ("encoding", "tokens", "token_lists") and name in ("ids", "input_ids"):
            return owner.one() if owner.sort == "encoding" else owner
        if name == "st_size":
            return Thing(sort="number", fraction=1.0)
        if owner.sort in FRAMES and name not in FRAME_METHODS:
            return Thing(
                sort="column", share=owner.share, weight=0.0, of_input=True, parts={"of": owner}, born=owner.born
            )
        if name in ("values", "T", "flat", "data", "array") and owner.share > 0:
            return owner
        if owner.sort in ("path", "path_of_many", "parameter"):
            return Thing(sort=owner.sort, small=owner.small)
        return Thing(of_input=owner.of_input, small=owner.small)


def _sliced(low: Thing | None, high: Thing | None) -> float:
    """Give the part of something that a slice takes; a piece of bounded size is 0."""
    start = 0.0 if low is None else low.fraction
    end = 1.0 if high is None else high.fraction
    if start is not None and end is not None:
        return max(0.0, min(1.0, end) - start)
    if low is not None and high is not None:
        return 0.0
    known = low if low is not None else high
    assert known is not None
    if isinstance(known.value, int):  # [:1000] is a piece, [1000:] is nearly all
        return 0.0 if (low is None) == (known.value >= 0) else 1.0
    return 0.5  # at a place that only the running script knows
