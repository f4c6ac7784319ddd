"""One machine for each test module: what is shared with it, and what it leaves, are the module's own."""

import pytest

from tests.vm.machine import Machine, need_machine


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    need_machine()
    return Machine(tmp_path_factory.mktemp("vm"))
