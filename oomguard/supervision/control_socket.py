"""`oomguard release`, and how it reaches a supervisor that holds its job: a socket in the abstract name space.

Only its owner may use it: each side asks the kernel who the other is. It has the supervisor's pid in its name, and
leaves no file behind.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from oomguard.errors import BadInput, BudgetTooSmall, NeedsPrivilege, NothingFound, OomguardError, WorkerFailed, edge
from oomguard.kernel.model import LEAST_BUDGET
from oomguard.kernel.proc import ProcFiles
from oomguard.supervision.model import Released
from oomguard.supervision.options import read_budget
from oomguard.supervision.orphans import end_orphans, find_orphans, name_orphans
from oomguard.units import parse_size

if TYPE_CHECKING:
    from types import TracebackType

LONGEST = 4096  # bytes of a message
_MOST = 1 << 50  # bytes of memory: more than any machine has
_KEYS = {"stop", "max_rss", "opens_swap", "swap_max"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """What somebody wants to become of a held job. Sizes in bytes."""

    stop: bool
    max_rss: int | None  # None: what the supervisor itself suggested
    opens_swap: bool
    swap_max: int | None  # with `opens_swap`; None: no limit


def parse_release_request(message: bytes) -> ReleaseRequest:
    """Read one message. Raises: ValueError, which says what is wrong with it."""
    if len(message) >= LONGEST:
        raise ValueError(f"a request of {LONGEST} bytes or more")
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ValueError("a request that is not JSON") from error
    if not isinstance(asked, dict) or asked.keys() != _KEYS:
        raise ValueError(f"a request without the keys {', '.join(sorted(_KEYS))}")
    for key in ("stop", "opens_swap"):
        if not isinstance(asked[key], bool):
            raise ValueError(f"{key} that is neither true nor false")  # noqa: TRY004 - one thing to whoever sent it
    return ReleaseRequest(
        stop=asked["stop"],
        max_rss=_size(asked, "max_rss", LEAST_BUDGET),
        opens_swap=asked["opens_swap"],
        swap_max=_size(asked, "swap_max", 0),
    )


def _size(asked: dict[str, object], key: str, least: int) -> int | None:
    size = asked[key]
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or not least <= size <= _MOST:
        raise ValueError(f"{key} that is not a size from {least} to {_MOST} bytes")
    return size


_PREFIX = "oomguard-run-"
_CREDENTIALS = struct.Struct("=iII")  # pid, uid, gid
_PATIENCE_SECONDS = 2.0
_ANSWER_SECONDS = 30.0
_GENERATIONS = 64


class Visitor:
    """Somebody who asked, and waits for the answer."""

    def __init__(self, request: ReleaseRequest, connection: socket.socket) -> None:
        """They asked for `request`."""
        self.request = request
        self._connection = connection

    def answer(self, *, ok: bool, text: str, budget: int | None = None) -> None:
        """Tell them. Raises: nothing."""
        _answer(self._connection, ok=ok, text=text, budget=budget)


class ControlSocket:
    """The supervisor's side, while it holds the job."""

    def __init__(self) -> None:
        """Open it. Another user may have taken the plain name: then it has a number behind, which nobody can guess."""
        self._socket: socket.socket | None = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain = f"\0{_PREFIX}{os.getpid()}"
        for name in (plain, f"{plain}-{secrets.token_hex(8)}"):
            with suppress(OSError):
                self._socket.bind(name)
                self._socket.listen(4)
                return
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

    def receive(self) -> Visitor | None:
        """Who asks for what; None if nobody is there, may not ask, or asked nonsense. Raises: nothing."""
        if self._socket is None or not select.select([self._socket], [], [], 0)[0]:
            return None
        try:
            connection, _ = self._socket.accept()
        except OSError:
            return None
        try:
            if _peer(connection)[1] in (0, os.getuid()):
                return Visitor(parse_release_request(_read_line(connection, _PATIENCE_SECONDS)), connection)
        except ValueError as error:
            _answer(connection, ok=False, text=f"this was not understood: {error}")
        except OSError:
            pass
        connection.close()
        return None


def _answer(connection: socket.socket, *, ok: bool, text: str, budget: int | None = None) -> None:
    try:
        connection.settimeout(_PATIENCE_SECONDS)
        connection.sendall(json.dumps({"ok": ok, "text": text, "budget": budget}).encode() + b"\n")
    except OSError:
        return
    finally:
        connection.close()


def ask_to_release(
    pid: int, *, stop: bool = False, max_rss: int | None = None, opens_swap: bool = False, swap_max: int | None = None
) -> dict[str, Any]:
    """Ask the supervisor of `pid` (its own, or a process of its job) to continue the job, or to end it.

    Gives its answer: "ok", "text", "budget". Raises: NothingFound if no supervisor holds such a job; NeedsPrivilege if
    it is another user's; OomguardError if the supervisor does not answer.
    """
    supervisor, connection = _find_supervisor(pid)
    with connection:
        if os.getuid() not in (0, _peer(connection)[1]):
            raise NeedsPrivilege(
                f"the supervisor {supervisor} belongs to another user", do=f"sudo $(command -v oomguard) release {pid}"
            )
        connection.settimeout(_ANSWER_SECONDS)
        asked = {"stop": stop, "max_rss": max_rss, "opens_swap": opens_swap, "swap_max": swap_max}
        try:
            connection.sendall(json.dumps(asked).encode() + b"\n")
            answer = _read_line(connection, _ANSWER_SECONDS)
        except OSError as error:
            raise OomguardError(
                f"the supervisor {supervisor} does not answer: {error}", do=f"kill {supervisor}"
            ) from error
    if not answer:
        raise OomguardError(
            f"the supervisor {supervisor} did not understand the request",
            do="use the same version of oomguard for both",
        )
    got: dict[str, Any] = json.loads(answer)
    return got


def _find_supervisor(pid: int) -> tuple[int, socket.socket]:
    proc = ProcFiles()
    candidate = pid
    for _ in range(_GENERATIONS):
        connection = _connect(candidate)
        if connection is not None:
            return candidate, connection
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
    raise NothingFound(f"no job of process {pid} is frozen", do=do)


def _connect(pid: int) -> socket.socket | None:
    """To the supervisor `pid`, under whichever name it has; None: that holds no job."""
    for name in _names(pid):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(_PATIENCE_SECONDS)
        with suppress(OSError):
            connection.connect(f"\0{name}")
            if _peer(connection)[0] == pid:  # else somebody sits there under its name
                return connection
        connection.close()
    return None


def _names(pid: int) -> list[str]:
    plain = f"{_PREFIX}{pid}"
    return [name for name in _all_names() if name == plain or name.startswith(f"{plain}-")]


def _all_names() -> list[str]:
    found = (line.rpartition("@")[2] for line in ProcFiles().read("net/unix", 1 << 22).splitlines())
    return sorted({name for name in found if name.startswith(_PREFIX)})


def holding_supervisors() -> list[int]:
    """The pids of the supervisors that hold a job on this machine now. Raises: nothing."""
    numbers = {name.removeprefix(_PREFIX).partition("-")[0] for name in _all_names()}
    pids = sorted(int(number) for number in numbers if number.isascii() and number.isdecimal() and len(number) < 11)
    return [pid for pid in pids if _is_there(pid)]


def _is_there(pid: int) -> bool:
    connection = _connect(pid)
    if connection is not None:
        connection.close()
    return connection is not None


def _peer(connection: socket.socket) -> tuple[int, int, int]:
    got = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(got)
    return pid, uid, gid


def _read_line(connection: socket.socket, seconds: float) -> bytes:
    """One line, or as much of it as is allowed; not longer than `seconds` in all, however slowly it comes."""
    until = time.monotonic() + seconds
    got = b""
    while not got.endswith(b"\n") and len(got) < LONGEST:
        connection.settimeout(max(0.001, until - time.monotonic()))
        piece = connection.recv(LONGEST - len(got))
        if not piece:
            break
        got += piece
    return got


@edge
def release(pid: int, *, max_rss: str | None = None, stop: bool = False, allow_swap: str | None = None) -> Released:
    """Ask the supervisor of `pid` to continue the job, with a new budget if one is given, or to `stop` it.

    Raises: NothingFound if nothing of `pid` is held; NeedsPrivilege if it is another user's; BudgetTooSmall if it holds
    more than the new budget; BadInput.
    """
    if stop and (max_rss or allow_swap):
        raise BadInput(
            "--stop ends the job, and a new budget continues it: give one of them", do=f"oomguard release {pid} --stop"
        )
    try:
        answer = ask_to_release(
            pid,
            stop=stop,
            max_rss=None if max_rss is None else read_budget(max_rss),
            opens_swap=allow_swap is not None,
            swap_max=None if allow_swap in (None, "max") else parse_size(allow_swap),
        )
    except NothingFound as error:
        return _end_what_was_left(pid, error, stop=stop)
    if not answer["ok"]:
        raise BudgetTooSmall(f"it stays frozen: {answer['text']}", do=f"oomguard release {pid} --max-rss MORE")
    return Released(pid=pid, stopped=stop, budget=answer["budget"])


def _end_what_was_left(pid: int, error: NothingFound, *, stop: bool) -> Released:
    """Of a run whose supervisor and reaper were killed together; `pid` is one of its processes, or its supervisor's."""
    orphans = find_orphans()
    runs = {orphan.supervisor for orphan in orphans if pid in (orphan.pid, orphan.supervisor)}
    found = [orphan for orphan in orphans if orphan.supervisor in runs]
    if not found:
        raise error
    if not stop:
        raise NothingFound(
            f"the supervisor of this run was killed, and it cannot be continued: {name_orphans(found)} was left",
            do=f"oomguard release {pid} --stop",
        ) from error
    if left := end_orphans(found):
        raise WorkerFailed(f"{name_orphans(left)} does not end", do=f"cat /proc/{left[0].pid}/stack") from error
    return Released(pid=pid, stopped=True, budget=None)
