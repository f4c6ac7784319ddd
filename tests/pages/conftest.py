"""A browser for the tests of pages, one for each module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pages.chromium import CHROMIUM, Chromium

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; to have it: apt-get install chromium")
    chromium = Chromium(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()
