"""Who may say what becomes of a held job: its owner and root, by what the kernel says of each side."""

from __future__ import annotations

import os

import pytest

from oomguard.errors import NeedsPrivilege, NothingFound
from oomguard.supervision.control_socket import ControlSocket, ask_to_release, holding_supervisors

ANOTHER_USER = 65534


def ask_as_another_user(guard: int) -> int:
    """The exit status of a child that asks: 3 if it was told that it may not."""
    child = os.fork()
    if child == 0:
        os.setuid(ANOTHER_USER)
        try:
            ask_to_release(guard, stop=True)
        except NeedsPrivilege as error:
            os._exit(3 if "another user" in str(error) and error.do.startswith("sudo") else 4)
        finally:
            os._exit(5)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_another_user_may_not_ask() -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with ControlSocket() as door:
        assert os.getpid() in holding_supervisors()
        assert ask_as_another_user(os.getpid()) == 3
        assert door.take() is None


def test_nothing_is_held() -> None:
    with pytest.raises(NothingFound, match=f"no job of process {os.getpid()} is held"):
        ask_to_release(os.getpid(), stop=True)
