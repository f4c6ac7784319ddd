"""The same with a cache of eight."""

from functools import lru_cache

import pytest


@lru_cache(maxsize=8)
def build(number):
    return [str(number * i) for i in range(20_000)]


@pytest.mark.parametrize("number", range(120))
def test_is_built(number):
    assert len(build(number)) == 20_000
