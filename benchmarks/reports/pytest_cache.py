"""A cache that lives as long as the test session grows from test to test."""

import pytest

CACHE = {}


def build(number):
    if number not in CACHE:
        CACHE[number] = [str(number * i) for i in range(20_000)]  # cause
    return CACHE[number]


@pytest.mark.parametrize("number", range(120))
def test_is_built(number):
    assert len(build(number)) == 20_000
