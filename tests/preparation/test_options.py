"""Each format's defaults are its anchor's, and what cannot be is refused with what can."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.resolving import resolve_options

REFUSED = [
    ({"format": "hdf5"}, "hdf5", "nanogpt | npy | llmc | megatron | datatrove | olmo | arrow | litdata | mds"),
    ({"encoding": "gpt9"}, "gpt9", "gpt2"),
    ({"errors": "ignore"}, "ignore", "strict | replace | skip"),
    ({"newlines": "unix"}, "unix", "bytes | universal"),
    ({"verify": "yes"}, "yes", "sample | full | off"),
    ({"eot": "both"}, "both", "before | after | none"),
    ({"workers": 0}, "--workers 0", "one per CPU"),
    ({"workers": -3}, "--workers -3", "one per CPU"),
    ({"shard_tokens": 5}, "nanogpt is one file", "--format npy"),
    ({"format": "npy", "shard_tokens": 0}, "--shard-tokens 0", "100000000"),
    ({"format": "llmc", "shard_tokens": 2**30}, "1,073,741,312", "1073741312"),
    ({"block_size": 8}, "nanogpt has no blocks", "arrow, litdata, mds"),
    ({"format": "mds", "block_size": 0}, "--block-size 0", "2048"),
    ({"format": "mds", "block_size": 100, "shard_tokens": 250}, "not a multiple", "--shard-tokens 200"),
    ({"format": "megatron", "shard_tokens": 5}, "megatron is one file", "--format npy"),
    ({"val_fraction": "1"}, '"1"', "0.0005"),
    ({"val_fraction": "-0.1"}, '"-0.1"', "0.0005"),
    ({"val_fraction": "ten"}, '"ten"', "0.0005"),
    ({"val_fraction": "nan"}, '"nan"', "0.0005"),
    ({"val_fraction": "inf"}, '"inf"', "0.0005"),
    ({"val_fraction": "1/0"}, '"1/0"', "0.0005"),
    ({"val_fraction": ""}, '""', "0.0005"),
    ({"val_fraction": "0." + "1" * 5000}, "0.1111", "0.0005"),
    ({"name": "mine"}, "names of --format nanogpt", "npy or llmc"),
    ({"format": "npy", "name": "a/b"}, "a/b", "edufineweb"),
    ({"format": "npy", "name": ".hidden"}, ".hidden", "edufineweb"),
    ({"format": "npy", "name": ""}, "''", "edufineweb"),
    ({"format": "npy", "name": "a\x1b[31m"}, r"\x1b", "edufineweb"),
    ({"format": "npy", "name": "my_training"}, "my_training", "edufineweb"),
    ({"format": "llmc", "name": "evaluation"}, "evaluation", "edufineweb"),
]


@pytest.mark.parametrize(
    ("options", "what", "do"), REFUSED, ids=lambda value: str(value)[:40] if isinstance(value, dict) else ""
)
def test_refused_with_what_was_given_and_what_could_be(options: dict[str, Any], what: str, do: str) -> None:
    with pytest.raises(BadInput) as caught:
        resolve_options(PrepareOptions(**options))
    assert what in str(caught.value)
    assert do in caught.value.do


@pytest.mark.parametrize(
    ("format", "shard_tokens", "val_fraction", "name", "eot"),
    [
        ("nanogpt", None, "0.0005", "", "after"),
        ("npy", 10**8, None, "edufineweb", "before"),
        ("llmc", 10**8, None, "fineweb", "before"),
    ],
)
def test_defaults_are_those_of_the_anchors(
    format: Any, shard_tokens: int | None, val_fraction: str | None, name: str, eot: str
) -> None:
    """nanoGPT's openwebtext, build-nanogpt's fineweb.py, llm.c's and modded-nanogpt's fineweb.py."""
    resolved = resolve_options(PrepareOptions(format=format))
    assert (resolved.shard_tokens, resolved.val_fraction, resolved.name, resolved.eot) == (
        shard_tokens,
        val_fraction,
        name,
        eot,
    )
    assert resolved.spec.name == "r50k_base"


@pytest.mark.parametrize("zero", ["0", "0.0", "0/7", "0e5"])
def test_zero_in_every_spelling_is_no_validation(zero: str) -> None:
    assert resolve_options(PrepareOptions(val_fraction=zero)).val_fraction == "0"


@pytest.mark.parametrize(
    ("typed", "bytes_"),
    [
        (r"\n\n", b"\n\n"), ("\n", b"\n"), (r"\r\n", b"\r\n"), (r"\t|", b"\t|"), (r"\\n", b"\\n"), (r"\x", b"\\x"), ("\\", b"\\"),
        (r"a\\\n", b"a\\\n"), ("<|endoftext|>", b"<|endoftext|>"), ("é", "é".encode()), ("", b""), (r"\x1e\f", b"\x1e\x0c"),
        (r"\xe9", rb"\xe9"), (r"\x1", rb"\x1"), (r"\0x", b"\0x"),
    ],
)  # fmt: skip
def test_a_separator_may_be_typed_with_escapes(typed: str, bytes_: bytes) -> None:
    """Shells make a line feed hard to type."""
    assert resolve_options(PrepareOptions(separator=typed)).separator == bytes_


@given(st.text(st.sampled_from("\\nrtx ")))
def test_a_separator_can_always_be_written(text: str) -> None:
    """Doubling each backslash gives any text as it is."""
    assert resolve_options(PrepareOptions(separator=text.replace("\\", "\\\\"))).separator == text.encode()


def test_a_separator_that_is_no_text_is_refused() -> None:
    r"""The shell may pass bytes that are no UTF-8, which Python keeps as "\udcff"."""
    with pytest.raises(BadInput, match="separator"):
        resolve_options(PrepareOptions(separator="a\udcff"))


def test_a_separator_with_universal_newlines_reads_as_the_text_does() -> None:
    r"""Where CR LF becomes LF, "\r\n" in the separator does too: else it would be found nowhere."""
    options = PrepareOptions(separator=r"\r\n\r\n", newlines="universal")
    assert resolve_options(options).separator == b"\n\n"
    assert resolve_options(replace(options, newlines="bytes")).separator == b"\r\n\r\n"
