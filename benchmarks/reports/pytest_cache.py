"""A cache that lives as long as the test session grows from test to test."""

import pytest

CACHE = {}


def build(number):
    if number not in CACHE:
        CACHE[number] = bytearray(b"x") * (2 << 20)  # cause
    return CACHE[number]


@pytest.mark.parametrize("number", range(120))
def test_is_built(number):
    assert len(build(number)) == 2 << 20
