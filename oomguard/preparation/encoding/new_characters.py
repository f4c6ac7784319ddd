"""Characters whose class depends on the version of Unicode that a tokenizer was built with.

gigatoken 0.10 knows Unicode 16, tiktoken 0.14 knows 17: 4,699 letters, digits and marks that 17 brought (such as the
Chinese characters from U+323B0 on) are split differently, and the tokens differ. Found by encoding every code point in
a dozen surroundings with both; tests/preparation/encoding/test_new_characters.py does that again with what is here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

# UTF-8 of three bytes, by the first: the two others of each code point that Unicode 17 brought, as one number.
_NEW_IN_THREE: dict[int, npt.NDArray[np.uint16]] = {
    0xE0: np.array([0xA28F, 0xB19C, 0xB39C], np.uint16),  # U+088F U+0C5C U+0CDC
    # U+1ACF-1ADD U+1AE0-1AEB
    0xE1: np.array([0xAB00 + last for last in (*range(0x8F, 0x9E), *range(0xA0, 0xAC))], np.uint16),
    # U+A7CE U+A7CF U+A7D2 U+A7D4 U+A7F1
    0xEA: np.array([0x9F8E, 0x9F8F, 0x9F92, 0x9F94, 0x9FB1], np.uint16),
}

_FEW = 64


def holds_new_characters(text: bytes) -> bool:
    """Whether a well-formed UTF-8 text may hold such a character. Costs about 0.2 ns a byte.

    Of the supplementary planes only what is full or holds symbols alone counts as old: emoji, mathematical letters,
    the Chinese extensions B to C. More than is needed, so that the next version of Unicode finds it closed too.
    """
    if text.isascii():
        return False
    data = np.frombuffer(text, np.uint8)
    if (largest := int(data.max())) >= 0xF0 and _is_new_in_four(data, _places_of_four(text, data, largest)):
        return True
    return any(_is_new_in_three(data, first, _places(text, data, first)) for first in _NEW_IN_THREE)


def _is_new_in_three(data: npt.NDArray[np.uint8], first: int, places: npt.NDArray[np.intp]) -> bool:
    return bool(len(places)) and bool(np.isin(_behind(data, places), _NEW_IN_THREE[first]).any())


def _places_of_four(text: bytes, data: npt.NDArray[np.uint8], largest: int) -> npt.NDArray[np.intp]:
    """Where sequences of four bytes begin."""
    return _places(text, data, 0xF0) if largest == 0xF0 else np.flatnonzero(data >= 0xF0)


def _places(text: bytes, data: npt.NDArray[np.uint8], byte: int) -> npt.NDArray[np.intp]:
    """Where a byte is. A few are found faster one by one than by looking at every byte."""
    places: list[int] = []
    at = text.find(byte)
    while at >= 0 and len(places) < _FEW:
        places.append(at)
        at = text.find(byte, at + 1)
    return np.array(places, np.intp) if at < 0 else np.flatnonzero(data == byte)


def _is_new_in_four(data: npt.NDArray[np.uint8], places: npt.NDArray[np.intp]) -> bool:
    first, behind = data[places], _behind(data, places)
    old_plane_1 = ((behind >= 0x9F80) & (behind <= 0x9FBF)) | ((behind >= 0x9D80) & (behind <= 0x9DBB))
    old_plane_2 = (behind >= 0xA080) & (behind <= 0xAABF) & ((behind < 0xAA9B) | (behind > 0xAA9B))
    private = (first == 0xF4) | ((first == 0xF3) & (behind >= 0xA080))  # and variation selectors, U+E0100-E01EF
    return not bool(np.all(((first == 0xF0) & (old_plane_1 | old_plane_2)) | private))


def _behind(data: npt.NDArray[np.uint8], places: npt.NDArray[np.intp]) -> npt.NDArray[np.uint16]:
    """The two bytes behind each place, as one number."""
    return data[places + 1].astype(np.uint16) * np.uint16(256) + data[places + 2].astype(np.uint16)
