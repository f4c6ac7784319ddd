"""What the quick check passes is NFC, and what it does not pass is put right in its own place."""

import random
import unicodedata
from importlib.util import find_spec

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from oomguard.preparation.encoding.bytes_core import find_denormal
from oomguard.preparation.encoding.nfc import changes, normalized, to_nfc
from oomguard.preparation.encoding.tokenizers import BadUtf8, require_utf8
from tests.preparation.encoding.core_texts import native_needed
from tests.preparation.encoding.tokenizer_files import need_tokenizers
from tests.properties import examples, some_of

# Letters that join with marks, marks of several classes (1, 7, 8, 9, 103, 107, 216, 220, 230), Hangul's parts, characters
# that become others, and what came after Unicode 14.
JOINING = "aeo \n<|中зйé\u0301\u0302\u0308\u0323\u0327\u0328\u0338\u3099\u304b\u0e19\u0e38\u0e48\u0915\u093c\u094d"
CHANGING = (
    "\u1100\u1161\u11a8\uac00\u212b\u2126\u0958\u0344\u0340\ufb1d\u0f73\U0001d15e\U0001f642\U0001e4ee\u0897\U0003134f"
)
TEXT = st.text(alphabet=st.sampled_from(JOINING + CHANGING), max_size=40) | st.text(max_size=20)
KNOWN = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000 and unicodedata.category(chr(code)) != "Cn"]


@pytest.fixture(autouse=True)
def _core() -> None:
    native_needed()


def is_passed(text: str) -> bool:
    return find_denormal(text.encode(), 0) is None


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", *some_of(["a", "e\u0323", "\u304b", "\u1100", "\uac00", "a\u0301"], one_in=3)])
def test_each_character_that_is_passed_is_nfc(before: str) -> None:
    """Alone, and behind what it may join or must stand before."""
    passed = [text for text in (before + chr(code) for code in KNOWN) if is_passed(text)]
    assert [ascii(text) for text in passed if not unicodedata.is_normalized("NFC", text)] == []
    assert len(passed) > len(KNOWN) // 3 or not is_passed(before)


def test_what_is_usual_is_passed() -> None:
    for text in (
        "plain",
        "Ärger, “quoted” – dashes… €",
        "Привет, Ёжик",
        "你好，世界",
        "สวัสดีปีใหม่",
        "한국어",
        "tiếng Việt",
        "🙂👍🏽",
        "नमस्ते",
        "हिन्दी",
        "ﬁ",
    ):
        assert is_passed(unicodedata.normalize("NFC", text)), text


@examples(3000)
@given(text=TEXT)
def test_changes_are_made_where_they_are(text: str) -> None:
    is_for_tokenizers = any("Cn" in (unicodedata.category(one), unicodedata.ucd_3_2_0.category(one)) for one in text)
    assume(not is_for_tokenizers or find_spec("tokenizers"))  # whose Unicode is another one
    assert normalized(text.encode()) == to_nfc(text).encode()
    assert changes(normalized(text.encode())) == []


# Marks, letters and a composition (Dives Akuru) that came after Unicode 9, which tokenizers 0.23 has.
LATER = "\u0d3b\u0d3c\u09fe\u1abf\u0c3c\U0001193e\U00011935\U00011930\U00011938\U00010efd\U0001e2ec"


@examples(1500)
@given(text=st.text(alphabet=st.sampled_from(JOINING + CHANGING + LATER), max_size=20))
@example(text="\u033b\u0d3b")
@example(text="e\u0d3b\u0301")
@example(text="\U00011935\U00011930")
@example(text="e\u0301🙂")
def test_it_is_what_tokenizers_makes(text: str) -> None:
    """Its Unicode may be older than Python's, or newer."""
    need_tokenizers()
    from tokenizers.normalizers import NFC

    assert normalized(text.encode()).decode() == NFC().normalize_str(text)


@examples(1500)
@given(data=st.binary(max_size=30) | TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_ill_formed_text_is_never_passed(data: bytes) -> None:
    try:
        require_utf8(data)
    except BadUtf8 as bad:
        last = changes(data)[-1]
        assert last[0] <= bad.at < last[1]


def nfc_is_made() -> None:
    """What test_core_hardened asks of a core with a fault: order, places and bounds, on texts that are not NFC."""
    rng = random.Random(2)
    for _ in range(2000):
        text = "".join(rng.choices(JOINING, k=rng.randint(1, 24)))
        assert normalized(text.encode()) == unicodedata.normalize("NFC", text).encode(), ascii(text)
