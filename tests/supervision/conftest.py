"""What the supervisor's tests share: machines as they were captured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.fake_cgroups import FakeKernel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kernel.fake_cgroups import MakeKernel


@pytest.fixture
def kernel_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeKernel:
    def make(capture: str) -> FakeKernel:
        kernel = FakeKernel(capture, tmp_path, monkeypatch)
        if capture == "delegated-user-v2":
            kernel.delegated.add(kernel.own)
        return kernel

    return make
