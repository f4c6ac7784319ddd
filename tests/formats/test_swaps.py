"""/proc/swaps of a real machine, and lines that are none."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from oomguard.formats.proc import find_area, parse_swaps
from oomguard.units import KIB

CAPTURE = Path("tests/captures/swaps/files-and-zram.txt").read_text()


def test_capture_is_read_whole() -> None:
    areas = parse_swaps(CAPTURE)
    assert [(area.path, area.kind, area.size, area.used, area.priority) for area in areas] == [
        ("/tmp/sw/x/plain", "file", 16372 * KIB, 0, 100),
        ("/tmp/sw/x/with space", "file", 16372 * KIB, 0, -2),
        ("/tmp/sw/x/tab\there", "file", 16372 * KIB, 0, -3),
        ("/tmp/sw/x/gone", "file", 16376 * KIB, 0, -4),
        ("/dev/zram0", "partition", 32764 * KIB, 0, 32767),
    ]
    assert [area.is_zram for area in areas] == [False, False, False, False, True]


def test_area_is_found_by_its_whole_path() -> None:
    areas = parse_swaps(CAPTURE)
    assert find_area(areas, "/tmp/sw/x/with space") == areas[1]
    assert find_area(areas, "/tmp/sw/x") is None
    assert find_area(areas, "plain") is None


def test_heading_and_torn_lines_are_no_areas() -> None:
    assert parse_swaps("") == []
    assert parse_swaps(CAPTURE.splitlines()[0]) == []
    assert parse_swaps("/a file 1 2\n/b file many 0 -2\n/c disk 1 0 -2\n/d file 4 0 -2") == parse_swaps(
        "/d file 4 0 -2"
    )


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    parse_swaps(text)
