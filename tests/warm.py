"""Start the command in a fork of a process that has imported it: what a whole run costs without Python's own start.

It is oomguard's own main() in a process of its own, with its own folder, environment, descriptors and signals. What a
test says about the start itself (its time, its imports, its first moments) needs `python -m oomguard`: see running.py.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

# What a `prepare` has imported at its end, but for what starts threads, with which nobody may fork.
IMPORTED = ("cli.app", "preparation.api", "preparation.encoding.chunk_encoder", "preparation.engines.pipeline", "supervision.supervise")  # fmt: skip
_server: tuple[socket.socket, subprocess.Popen[bytes]] | None = None


def run_warm(
    arguments: tuple[str, ...], *, cwd: Path, env: dict[str, str], stdin: bytes, timeout: float
) -> subprocess.CompletedProcess[str]:
    """As subprocess.run() of `python -m oomguard` with its output captured. `env` is all of its environment."""
    with _temporary(stdin) as given, _temporary() as out, _temporary() as err:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": env}).encode()
                socket.send_fds(
                    _connection(),
                    [len(request).to_bytes(8)],
                    [theirs.fileno(), *(each.fileno() for each in (given, out, err))],
                )
            ours.sendall(request)
            pid = int.from_bytes(ours.recv(8, socket.MSG_WAITALL))
            ours.settimeout(timeout)
            try:
                status = int.from_bytes(ours.recv(8, socket.MSG_WAITALL), signed=True)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        texts = []
        for each in (out, err):
            each.seek(0)
            texts.append(text_of(each.read()))
    return subprocess.CompletedProcess(["oomguard", *arguments], status, *texts)


def text_of(output: bytes) -> str:
    """As subprocess gives it where text is asked for."""
    return output.decode().replace("\r\n", "\n")


def _temporary(data: bytes = b"") -> Any:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - its user closes it
    file.write(data)
    file.seek(0)
    return file


def _connection() -> socket.socket:
    global _server  # noqa: PLW0603 - one for each process that runs tests
    if _server is None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "tests.warm", str(theirs.fileno())]
            # numpy's threads would be lost in a fork.
            environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
            server = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL)
        _server = ours, server
        atexit.register(_end)
    return _server[0]


def _end() -> None:
    assert _server is not None
    _server[0].close()
    _server[1].wait(20)


def serve(connection: socket.socket) -> None:
    """Answer requests until the other end is closed."""
    import importlib

    for name in IMPORTED:
        importlib.import_module(f"oomguard.{name}")
    assert len(os.listdir("/proc/self/task")) == 1, "a thread was started, which a fork would lose"
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends it without a word
    while True:
        size, fds, _, _ = socket.recv_fds(connection, 8, 4)
        if not size:
            return
        answer = socket.socket(fileno=fds[0])
        # One process between: it alone waits for the run, and several may be under way.
        with answer:
            if os.fork() == 0:
                connection.close()
                _serve_one(answer, fds[1:], int.from_bytes(size))
        for fd in fds[1:]:
            os.close(fd)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _serve_one(answer: socket.socket, standard: list[int], size: int) -> NoReturn:
    """Run the command in a child, tell how it ended, and end."""
    try:
        request = json.loads(answer.recv(size, socket.MSG_WAITALL))
        pid = os.fork()
        if pid == 0:
            answer.close()
            _become(request, standard)
        answer.sendall(pid.to_bytes(8))
        answer.sendall(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]).to_bytes(8, signed=True))
    finally:
        os._exit(0)


def _become(request: dict[str, Any], standard: list[int]) -> NoReturn:
    """Be the command."""
    status = 70
    try:
        for number, fd in enumerate(standard):
            os.dup2(fd, number)
            os.close(fd)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["oomguard", *request["arguments"]]
        from oomguard.__main__ import main

        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - shown as Python would
        import traceback

        traceback.print_exc()
        status = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
