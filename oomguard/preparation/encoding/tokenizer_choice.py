"""Which tokenizer is meant: one by its name, or one from a file or the Hub, with what ends a document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.errors import BadInput
from oomguard.preparation.encoding.encodings import USUAL_ENCODING, find_encoding, with_eot

if TYPE_CHECKING:
    from oomguard.preparation.encoding.encodings import EncodingSpec
    from oomguard.preparation.engines.messages import EotPlace
    from oomguard.preparation.options import PrepareOptions


def find_tokenizer(options: PrepareOptions) -> EncodingSpec:
    """The tokenizer that was asked for. Raises: BadInput where options do not go together."""
    if options.tokenizer is None:
        if options.pattern is not None:
            raise BadInput("--pattern belongs to a rank file", do="--tokenizer FILE.tiktoken, or leave --pattern out")
        spec = find_encoding(options.encoding)
        return spec if options.eot_token is None else with_eot(spec, options.eot_token, {"<|endoftext|>": spec.eot})
    if options.encoding != USUAL_ENCODING:
        raise BadInput("--encoding and --tokenizer both name a tokenizer", do="leave one of them out")
    from oomguard.preparation.encoding.tokenizer_files import open_tokenizer

    return open_tokenizer(options.tokenizer, pattern=options.pattern, eot_token=options.eot_token)


def with_its_end(spec: EncodingSpec, options: PrepareOptions, eot: EotPlace) -> EncodingSpec:
    """The tokenizer, with the token that stands between documents as its end-of-text.

    Raises: BadInput if nobody knows it.
    """
    if options.tokenizer is None:
        return spec
    if eot == "before" and spec.bos >= 0 and options.eot_token is None:
        return replace(spec, eot=spec.bos)  # what the family's models have at the beginning of a document
    if eot != "none" and spec.eot < 0:
        raise BadInput(
            f"{spec.name}: it is not known which id ends a document",
            do="--eot-token with its name or id, or --eot none",
        )
    return spec
