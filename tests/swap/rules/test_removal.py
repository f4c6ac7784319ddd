"""An area is switched off only if what is on it has somewhere to go."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import SwapRefused
from oomguard.formats.proc import SwapArea
from oomguard.swap.rules.refusals import check_memory

GIB = 1 << 30


def area(path: str, size: int, used: int) -> SwapArea:
    return SwapArea(path=path, kind="file", size=size, used=used, priority=-2)


def test_both_numbers_are_told() -> None:
    with pytest.raises(SwapRefused, match=r"8\.0 GiB is swapped out to /a.*room for 4\.5 GiB"):
        check_memory("/a", [area("/a", 16 * GIB, 8 * GIB)], 5 * GIB)


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(0, 1 << 40))
def test_it_goes_into_nine_tenths_of_memory_and_the_other_areas(used: int, free: int, available: int) -> None:
    areas = [area("/a", 1 << 41, used), area("/b", 1 << 41, (1 << 41) - free)]
    if used <= available * 9 // 10 + free:
        check_memory("/a", areas, available)
    elif used > available * 9 // 10 + free + 1:
        with pytest.raises(SwapRefused):
            check_memory("/a", areas, available)


def test_what_is_not_on_needs_no_room() -> None:
    check_memory("/c", [area("/a", GIB, GIB)], 0)
