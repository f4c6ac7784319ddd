"""Read the Python stacks of other processes, with arguments: running, stopped, frozen or parked alike.

pystack reads the memory of the process and asks nothing of it, so it works where the process can run no code
any more. It is a C extension that follows another program's pointers: it works in a forked child, which a bad
pointer may crash or hang, and only where the kernel wants an ancestor as the reader (Yama's ptrace_scope 1) in
this process. Measured: 51 ms to import pystack, 21 ms for a stack. py-spy, where it is installed, is asked for
what pystack could not read, without stopping the process: its blocking mode waits for ever for a parked one.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.kernel.model import ProcessStack, StackFrame
from oomguard.kernel.prctl import die_with_parent, set_oom_score_adj
from oomguard.kernel.proc import ProcFiles
from oomguard.stacks.cpython import PythonFrames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_READ_SECONDS = 2.0  # for all processes together
_MOST_FRAMES = 120  # innermost: below a library's sixty there is the user's line; a recursion has thousands
_MOST_THREADS = 32
_MOST_VARIABLES = 20
_LONGEST_VALUE = 200
_LONGEST_MESSAGE = 8 << 20
_MOST_DESCRIPTORS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StackReading:
    """What was read, and for each process of which nothing was, why."""

    stacks: tuple[ProcessStack, ...]
    unread: dict[int, str]  # pid -> reason, for people


def read_python_stacks(
    pids: Iterable[int],
    *,
    seconds: float = _READ_SECONDS,
    frames: PythonFrames | None = None,
    root: Path = Path("/"),
) -> StackReading:
    """Read the stacks of those of `pids` that run Python. At most `seconds` for all of them. Raises: nothing.

    What pystack cannot read in that time, or because it is not installed, is read without arguments, and only of the
    thread that works (`frames`, whose earlier readings say which that is).
    """
    until = time.monotonic() + seconds
    wanted = [pid for pid in pids if is_python(pid, root=root)]
    if not wanted:
        return StackReading(stacks=(), unread={})
    stacks: dict[int, list[ProcessStack]] = {}
    unread: dict[int, str] = {}
    if find_spec("pystack") is not None:
        for pid, answer in _read_in_a_child(wanted, seconds):
            if isinstance(answer, str):
                unread[pid] = answer
            else:
                stacks[pid] = answer
    else:
        unread = dict.fromkeys(wanted, "pystack is not installed; to install it: pip install 'oomguard[stack]'")
    mine = frames if frames is not None else PythonFrames(root)
    for pid in list(unread):
        if read := _read_with_py_spy(pid, until - time.monotonic()) or _read_without_arguments(pid, mine):
            stacks[pid] = read
            del unread[pid]
    if frames is None:
        mine.close()
    return StackReading(stacks=tuple(stack for pid in wanted for stack in stacks.get(pid, ())), unread=unread)


def _read_without_arguments(pid: int, frames: PythonFrames) -> list[ProcessStack]:
    read = frames.read(pid)
    if not read:
        return []
    found = tuple(
        StackFrame(file=file, line=line, function=function, arguments={}, locals={}) for file, line, function in read
    )
    thread = frames.thread(pid) or pid
    return [ProcessStack(pid=pid, thread=thread, language="python", read_by="oomguard", frames=found)]


def is_python(pid: int, *, root: Path = Path("/")) -> bool:
    """Whether `pid` runs a Python interpreter, by its program or the libpython that it maps."""
    proc = ProcFiles(root)
    if "python" in Path(proc.link(f"{pid}/exe")).name:
        return True
    return "/libpython3." in proc.read(f"{pid}/maps", 1 << 20)


def _read_in_a_child(pids: Sequence[int], seconds: float) -> Iterator[tuple[int, list[ProcessStack] | str]]:
    """Each pid with its stacks, or why there are none."""
    waiting = list(pids)
    until = time.monotonic() + seconds
    while waiting:
        if time.monotonic() >= until:
            yield from ((pid, f"there was no time left: {seconds:g} s for all") for pid in waiting)
            return
        try:
            child, ours = _start_reader(waiting)
        except OSError as error:  # the job, for one, has used up the processes of its user
            yield from ((pid, f"there was no process to read it with: {error.strerror}") for pid in waiting)
            return
        try:
            # One that hangs must not take the time of all the others; the largest, whose line is what a report is
            # for, may have half of it.
            share = max(seconds / 2 if len(waiting) == len(pids) else 0.0, (until - time.monotonic()) / len(waiting))
            for answer in _messages(ours, until=until, first_seconds=share, seconds=seconds / 2):
                yield waiting.pop(0), answer
                if not waiting:
                    break
        finally:
            os.close(ours)
            os.kill(child, signal.SIGKILL)  # not reaped yet, so the pid is still its own
            os.waitpid(child, 0)
        if waiting:
            yield waiting.pop(0), "pystack crashed, was OOM-killed, or took too long"


def _start_reader(pids: Sequence[int]) -> tuple[int, int]:
    """Fork it; gives its pid, and where its answers come. Raises: OSError if there is no process to be had."""
    ours, theirs = os.pipe()
    parent = os.getpid()
    try:
        child = os.fork()
    except OSError:
        os.close(ours)
        raise
    else:
        if child == 0:
            _serve_stacks(pids, theirs, parent)
    finally:
        os.close(theirs)
    return child, ours


def _serve_stacks(pids: Sequence[int], fd: int, parent: int) -> None:
    """In the forked child: a line of JSON when pystack is there, and then one for each pid. Never returns."""
    try:
        become_helper(parent, [fd])
        # pystack copies mappings of up to 50 MB: in a small container that is much, and of all that are in it this
        # process is the one that may go.
        set_oom_score_adj(1000)
        read_without_copies()
        with suppress(ImportError):  # each pid says so below
            import_module("pystack.engine")
        send(fd, None)
        for pid in pids:
            try:
                send(fd, [_as_dict(stack) for stack in read_with_pystack(pid)])
            except Exception as error:  # noqa: BLE001 - whatever it is, the next process may be readable
                send(fd, f"pystack: {error}")
    finally:
        os._exit(0)


def _messages(fd: int, *, until: float, first_seconds: float, seconds: float) -> Iterator[list[ProcessStack] | str]:
    """What the child sends, until it ends or takes too long: `first_seconds` for its first answer, once it is ready."""
    buffered = b""
    patience = until
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while len(buffered) < _LONGEST_MESSAGE:
        line, newline, rest = buffered.partition(b"\n")
        if newline:
            message = json.loads(line)
            patience = min(until, time.monotonic() + (first_seconds if message is None else seconds))
            buffered = rest
            if message is not None:
                yield message if isinstance(message, str) else [_from_dict(stack) for stack in message]
            continue
        left = patience - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return
        got = os.read(fd, 1 << 16)
        if not got:
            return
        buffered += got


def become_helper(parent_pid: int, keep: Iterable[int]) -> None:
    """In the child: end with the parent, and have nothing of its open files but `keep`.

    Whoever waits for one of the others to close must not wait for this process. Raises: OSError.
    """
    die_with_parent(parent_pid)
    first = 3
    for fd in (*sorted(keep), _MOST_DESCRIPTORS):
        os.closerange(first, fd)
        first = fd + 1
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)


def send(fd: int, message: object) -> None:
    """One line of JSON, whole. Raises: OSError if nobody listens any more."""
    line = json.dumps(message).encode() + b"\n"
    while line:
        line = line[os.write(fd, line) :]


def read_without_copies() -> None:
    """Let pystack, in this process, read memory through /proc/PID/mem; the processes that it starts inherit that.

    process_vm_readv() pins what it reads, and since Linux 5.19 the kernel gives a forked child a copy of its own of
    each page that is pinned. pystack reads mappings of up to 50 MB whole: measured, the 40 MiB that two children
    shared became 120. Source: gup_must_unshare() in Linux mm/internal.h.
    """
    os.environ["_PYSTACK_NO_PROCESS_VM_READV"] = "1"


def read_with_pystack(pid: int, *, with_locals: bool = True) -> list[ProcessStack]:
    """Read the stacks of one process, in this process; without local variables in half the time.

    Raises: what pystack does, such as EngineError for a process that may not be read; ImportError.
    """
    from pystack.engine import NativeReportingMode, get_process_threads

    threads = get_process_threads(pid, stop_process=False, native_mode=NativeReportingMode.OFF, locals=with_locals)
    # The one that holds the interpreter's lock is the one that was allocating.
    threads.sort(key=lambda thread: thread.holds_the_gil <= 0)
    return [_pystack_thread(pid, thread) for thread in threads[:_MOST_THREADS]]


def _pystack_thread(pid: int, thread: Any) -> ProcessStack:
    outermost_first = list(thread.frames)
    return ProcessStack(
        pid=pid,
        thread=thread.tid,
        language="python",
        read_by="pystack",
        frames=tuple(
            StackFrame(
                file=str(frame.code.filename),
                line=frame.code.location.lineno,
                function=str(frame.code.scope),
                arguments=_shortened(dict(reversed(frame.arguments.items()))),  # pystack's order is the reverse
                locals=_shortened(frame.locals),
            )
            for frame in outermost_first[: -_MOST_FRAMES - 1 : -1]
        ),
    )


def _shortened(variables: dict[str, str]) -> dict[str, str]:
    some = list(variables.items())[:_MOST_VARIABLES]
    return {
        str(name)[:_LONGEST_VALUE]: value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}..."
        for name, value in some
    }


def _read_with_py_spy(pid: int, seconds: float) -> list[ProcessStack]:
    """py-spy's answer; nothing where it is not installed, or cannot."""
    program = shutil.which("py-spy") if seconds > 0 else None
    if program is None:
        return []
    import subprocess

    command = [program, "dump", "--nonblocking", "--json", "--locals", "--pid", str(pid)]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=seconds, check=True)
        threads = json.loads(answer.stdout)
        return [_py_spy_thread(pid, thread) for thread in threads[:_MOST_THREADS]]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return []


def _py_spy_thread(pid: int, thread: dict[str, Any]) -> ProcessStack:
    return ProcessStack(
        pid=pid,
        thread=int(thread.get("os_thread_id") or 0),
        language="python",
        read_by="py-spy",
        frames=tuple(
            StackFrame(
                file=str(frame["filename"]),
                line=int(frame["line"]),
                function=str(frame["name"]),
                arguments=_py_spy_variables(frame, arguments=True),
                locals=_py_spy_variables(frame, arguments=False),
            )
            for frame in thread["frames"][:_MOST_FRAMES]
        ),
    )


def _py_spy_variables(frame: dict[str, Any], *, arguments: bool) -> dict[str, str]:
    variables = frame.get("locals") or []
    return _shortened({v["name"]: str(v.get("repr")) for v in variables if bool(v.get("arg")) is arguments})


def _as_dict(stack: ProcessStack) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(stack)


def _from_dict(stack: dict[str, Any]) -> ProcessStack:
    frames = tuple(StackFrame(**frame) for frame in stack.pop("frames"))
    return ProcessStack(**stack, frames=frames)
