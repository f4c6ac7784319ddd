"""Sizes as people write them, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput
from oomguard.units import GIB, KIB, MIB, format_size, parse_percentage, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("12G", 12 * GIB), ("12GiB", 12 * GIB), ("12GB", 12 * 10**9), ("12g", 12 * GIB), ("12gib", 12 * GIB), ("12gb", 12 * 10**9),
        ("1048576", MIB), ("12B", 12), ("1B", 1), ("512M", 512 * MIB), ("512 MiB", 512 * MIB), ("1.5G", GIB * 3 // 2), ("0.5K", 512), ("2T", 2048 * GIB),
        (" 4k ", 4 * KIB), ("1P", 1 << 50), ("3kB", 3000), ("12Gi", 12 * GIB),
    ],
)  # fmt: skip
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        "G",
        "8 gigs",
        "-1G",
        "1e9",
        "12GBB",
        "0",
        "0.0001",
        "1.G",
        ".5G",
        "0x10",
        "12iB",
        "12i",
        "1 2G",
        "9" * 5000,
        "１２G",
        "12G\n12G",
        "nan",
        "inf",
    ],
)
def test_what_is_no_size_is_refused_with_examples(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_size(text)
    assert "8GiB" in caught.value.do


@pytest.mark.parametrize("text", ["12", "1", " 512 ", "1048575"])
def test_a_small_number_without_a_unit_is_taken_for_what_was_meant(text: str) -> None:
    """`--max-rss 12` means 12G: nobody wants 12 bytes."""
    with pytest.raises(BadInput, match="has no unit") as caught:
        parse_size(text)
    first = caught.value.do.split(",")[0]
    assert first == f"{text.strip()}G"
    assert parse_size(first) == int(text) * GIB


@given(st.integers(1, 1 << 60))
def test_what_is_shown_can_be_read(size: int) -> None:
    """And differs by what the last digit shown is worth."""
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.05)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (100 * MIB, "100 MiB"), (GIB, "1.0 GiB"),
     (5000 * GIB, "4.9 TiB"), (123.4, "123 B")],
)  # fmt: skip
def test_sizes_are_shown_with_three_digits(size: float, shown: str) -> None:
    assert format_size(size) == shown


def test_percentages_are_read() -> None:
    assert [parse_percentage(text) for text in ("80%", "1%", "100%", " 7% ", "007%")] == [80, 1, 100, 7, 7]


@pytest.mark.parametrize(
    "text", ["", "%", "80", "0%", "101%", "-1%", "8.5%", "80%%", "8 0%", "²%", "1e1%", "9" * 5000 + "%"]
)
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="percentage"):
        parse_percentage(text)
