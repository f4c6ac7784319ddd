"""Who may say what becomes of a held job: its owner and root, by what the kernel says of each side."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time

import pytest

from oomguard.errors import NeedsPrivilege, NothingFound
from oomguard.supervision.control_socket import ControlSocket, ReleaseRequest, ask_to_release, holding_supervisors

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
        assert door.receive() is None


MALFORMED = [
    b"[" * 4000,
    b'{"stop": false, "max_rss": Infinity, "opens_swap": false, "swap_max": null}',
    b'{"stop": false, "max_rss": 1e400, "opens_swap": false, "swap_max": null}',
    b'{"stop": false, "max_rss": 5, "opens_swap": false, "swap_max": null}',
    b'{"stop": false, "max_rss": -5, "opens_swap": false, "swap_max": null}',
    b'{"stop": false, "max_rss": true, "opens_swap": false, "swap_max": null}',
    b'{"stop": false, "max_rss": 18446744073709551615, "opens_swap": false, "swap_max": null}',
    b'{"stop": 1, "max_rss": null, "opens_swap": false, "swap_max": null}',
    b'{"stop": true}',
    b'"stop"',
    b"null",
    b"\xff\xfe",
    b"",
    b"9" * 4095,
    b"9" * 5000,
]


@pytest.mark.parametrize("message", MALFORMED, ids=lambda message: message[:40].decode("latin-1"))
def test_a_malformed_message_changes_nothing_and_is_answered(message: bytes) -> None:
    with ControlSocket() as control, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(f"\0oomguard-run-{os.getpid()}")
        client.sendall(message + b"\n")
        client.shutdown(socket.SHUT_WR)
        assert control.receive() is None
        client.settimeout(5)
        assert json.loads(client.recv(4096))["ok"] is False


def test_a_request_arrives_as_it_was_sent() -> None:
    asked: list[dict[str, object]] = []
    with ControlSocket() as control:
        thread = threading.Thread(target=lambda: asked.append(ask_to_release(os.getpid(), max_rss=1 << 30)))
        thread.start()
        visitor = None
        while visitor is None:
            visitor = control.receive()
        assert visitor.request == ReleaseRequest(stop=False, max_rss=1 << 30, opens_swap=False, swap_max=None)
        visitor.answer(ok=True, text="the job continues", budget=1 << 30)
        thread.join()
    assert asked == [{"ok": True, "text": "the job continues", "budget": 1 << 30}]


def test_a_name_that_another_process_took_hides_nobody() -> None:
    """The socket has another name then, and who asks finds it; the squatter is not taken for a supervisor."""
    ours, theirs = os.pipe()
    squatter = os.fork()
    if squatter == 0:
        taken = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        taken.bind(f"\0oomguard-run-{os.getppid()}")
        taken.listen(4)
        os.write(theirs, b"x")
        time.sleep(60)
        os._exit(0)
    try:
        os.read(ours, 1)
        assert os.getpid() not in holding_supervisors()
        with ControlSocket():
            assert os.getpid() in holding_supervisors()
            assert squatter not in holding_supervisors()
    finally:
        os.kill(squatter, signal.SIGKILL)
        os.waitpid(squatter, 0)


def test_nothing_is_held() -> None:
    with pytest.raises(NothingFound, match=f"no job of process {os.getpid()} is frozen"):
        ask_to_release(os.getpid(), stop=True)
