"""How `oomguard release` reaches a supervisor that holds its job: a socket in the abstract name space.

Only its owner may use it: each side asks the kernel who the other is. It has the supervisor's pid in its name, and
leaves no file behind.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from oomguard.errors import NeedsPrivilege, NothingFound, OomguardError
from oomguard.kernel.proc.files import ProcFiles

if TYPE_CHECKING:
    from types import TracebackType

_NAME = "\0oomguard-run-{}"
_CREDENTIALS = struct.Struct("=iII")  # pid, uid, gid
_LONGEST = 4096
_PATIENCE_SECONDS = 2.0
_ANSWER_SECONDS = 30.0
_GENERATIONS = 64


@dataclass(kw_only=True)
class ReleaseRequest:
    """What somebody at the door asks for. Sizes in bytes."""

    stop: bool
    max_rss: int | None  # None: what the supervisor itself suggested
    opens_swap: bool
    swap_max: int | None  # with `opens_swap`; None: no limit
    _connection: socket.socket

    def answer(self, *, ok: bool, text: str, budget: int | None = None) -> None:
        """Tell them. Raises: nothing."""
        try:
            self._connection.sendall(json.dumps({"ok": ok, "text": text, "budget": budget}).encode() + b"\n")
        except OSError:
            return
        finally:
            self._connection.close()


class ControlSocket:
    """The supervisor's side, while it holds the job."""

    def __init__(self) -> None:
        """Open it; where the name is taken, nobody can come, and keys and signals still work."""
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.bind(_NAME.format(os.getpid()))
            self._socket.listen(4)
        except OSError:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()

    def wake_on(self) -> list[tuple[int, int]]:
        """Descriptors, with their poll events, that tell of somebody."""
        return [] if self._socket is None else [(self._socket.fileno(), select.POLLIN)]

    def take(self) -> ReleaseRequest | None:
        """What somebody asks for; None if nobody is there, or may not ask. Raises: nothing."""
        if self._socket is None or not select.select([self._socket], [], [], 0)[0]:
            return None
        connection, _ = self._socket.accept()
        connection.settimeout(_PATIENCE_SECONDS)
        try:
            wanted = _read_wanted(connection)
        except (OSError, ValueError, KeyError, TypeError):
            wanted = None
        if wanted is None:
            connection.close()
        return wanted


def _read_wanted(connection: socket.socket) -> ReleaseRequest | None:
    if _peer(connection)[1] not in (0, os.getuid()):
        return None
    asked = json.loads(_read_line(connection))
    max_rss, swap_max = asked["max_rss"], asked["swap_max"]
    return ReleaseRequest(
        stop=bool(asked["stop"]),
        max_rss=None if max_rss is None else int(max_rss),
        opens_swap=bool(asked["opens_swap"]),
        swap_max=None if swap_max is None else int(swap_max),
        _connection=connection,
    )


def ask_to_release(
    pid: int, *, stop: bool = False, max_rss: int | None = None, opens_swap: bool = False, swap_max: int | None = None
) -> dict[str, Any]:
    """Ask the supervisor of `pid` (its own, or a process of its job) to go on with the job, or to end it.

    Gives its answer: "ok", "text", "budget". Raises: NothingFound if no supervisor holds such a job; NeedsPrivilege if
    it is another user's; OomguardError if the supervisor does not answer.
    """
    supervisor, connection = _find_supervisor(pid)
    with connection:
        if os.getuid() not in (0, _peer(connection)[1]):
            raise NeedsPrivilege(
                f"the supervisor {supervisor} belongs to another user", do=f"sudo oomguard release {pid}"
            )
        connection.settimeout(_ANSWER_SECONDS)
        asked = {"stop": stop, "max_rss": max_rss, "opens_swap": opens_swap, "swap_max": swap_max}
        try:
            connection.sendall(json.dumps(asked).encode() + b"\n")
            answer = _read_line(connection)
        except OSError as error:
            raise OomguardError(
                f"the supervisor {supervisor} does not answer: {error}", do=f"kill {supervisor}"
            ) from error
    if not answer:
        raise OomguardError(
            f"the supervisor {supervisor} did not understand", do="use the same version of oomguard for both"
        )
    got: dict[str, Any] = json.loads(answer)
    return got


def _find_supervisor(pid: int) -> tuple[int, socket.socket]:
    proc = ProcFiles()
    candidate = pid
    for _ in range(_GENERATIONS):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(_NAME.format(candidate))
            if _peer(connection)[0] == candidate:  # else somebody sits there under its name
                return candidate, connection
        except OSError:
            pass
        connection.close()
        stat = proc.stat(candidate)
        if stat is None or stat.parent_pid <= 1:
            break
        candidate = stat.parent_pid
    held = holding_supervisors()
    do = (
        f"oomguard release {held[0]}"
        if held
        else "start it with oomguard run --max-rss SIZE --on-limit hold -- COMMAND"
    )
    raise NothingFound(f"no job of process {pid} is held", do=do)


def holding_supervisors() -> list[int]:
    """The pids of the supervisors that hold a job on this machine now. Raises: nothing."""
    names = [line.rpartition("@oomguard-run-")[2] for line in ProcFiles().read("net/unix", 1 << 20).splitlines()]
    return sorted({int(name) for name in names if name.isascii() and name.isdecimal() and len(name) < 11})


def _peer(connection: socket.socket) -> tuple[int, int, int]:
    got = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(got)
    return pid, uid, gid


def _read_line(connection: socket.socket) -> bytes:
    got = b""
    while not got.endswith(b"\n") and len(got) < _LONGEST:
        piece = connection.recv(_LONGEST - len(got))
        if not piece:
            break
        got += piece
    return got
