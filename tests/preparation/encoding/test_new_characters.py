"""Every code point there is, in a dozen surroundings, has tiktoken's tokens: whatever Unicode gigatoken was built with."""

import pytest

from oomguard.preparation.encoding.encodings import find_encoding, find_rank_file
from oomguard.preparation.encoding.new_characters import holds_new_characters
from oomguard.preparation.encoding.tokenizers import GigatokenEngine
from tests.reference import encoding_of

# Up to the end of plane 3 and the tags and variation selectors: the planes between are unassigned and all alike.
CODE_POINTS = [*range(0xD800), *range(0xE000, 0x34000), *range(0xDFFFE, 0xE0200), 0xF0000, 0x10FFFF]
BLOCK = 64


def surroundings(c: str) -> str:
    parts = [
        c,
        f"a{c}b",
        f" {c} ",
        f"1{c}2",
        f"'{c}s",
        f"{c}{c}\n",
        f".{c}A",
        f"\n{c}\r\n",
        f"{c}'s",
        f"A{c}a{c}A",
        f"/{c}/\n",
    ]
    return "|".join(parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["r50k_base", "cl100k_base", "o200k_base"])
def test_every_code_point_has_the_tokens_of_tiktoken(name: str) -> None:
    encoding = encoding_of(name)
    spec = find_encoding(name)
    engine = GigatokenEngine(spec, find_rank_file(spec), mark=b"")
    wrong = []
    for start in range(0, len(CODE_POINTS), BLOCK):
        text = "\n\n".join(surroundings(chr(code)) for code in CODE_POINTS[start : start + BLOCK])
        if engine.encode(text.encode()).tolist() != encoding.encode_ordinary(text):
            wrong.append(f"U+{CODE_POINTS[start]:04X}")
    assert wrong == []


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("plain", False), ("“quotes” – café", False), ("😀👩\u200d🚀", False), ("中文字", False), ("𠀀𪚥𪜀", False), ("𝐀𝟗", False),
        ("ไทย తెలుగు ᚠ ꜩ", False), ("\ue000\U0010ffff\U000e0100", False),
        ("\U000323b0", True), ("a" * 5000 + "\u088f", True), ("\u0c5c", True), ("\ua7ce", True), ("\U00010940", True), ("\U0001e6c0", True),
    ],
)  # fmt: skip
def test_only_new_characters_take_the_slow_way(text: str, new: bool) -> None:
    """Emoji, Chinese, Thai and mathematics are old; what Unicode 17 brought is not."""
    assert holds_new_characters(text.encode()) is new
