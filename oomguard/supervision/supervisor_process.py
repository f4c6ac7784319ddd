"""The supervisor as a process of its own, for programs that call oomguard.run(): options in, the outcome out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

from oomguard import errors
from oomguard.kernel.process import own_command
from oomguard.supervision.model import RunOutcome
from oomguard.supervision.options import RunOptions, Silence
from oomguard.supervision.supervise import supervise


def run_supervised(options: RunOptions, *, env: Any, **streams: Any) -> RunOutcome:
    """Start a supervisor, wait for it, and give its outcome. Raises: what supervise() raised there."""
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as answer:
        try:
            command = own_command("oomguard.supervision.supervisor_process", str(theirs), json.dumps(asdict(options)))
            process = subprocess.Popen(command, pass_fds=(theirs,), env=env, **streams)
        finally:
            os.close(theirs)
        try:
            got = answer.read()
        except BaseException:
            process.terminate()  # it passes that on, and ends with its job
            raise
        finally:
            process.wait()
    return _read_answer(got)


def _read_answer(got: bytes) -> RunOutcome:
    if not got:
        raise errors.WorkerFailed(
            "the supervisor ended without an answer, and so did the command", do="see the kernel log"
        )
    answer = json.loads(got)
    if "outcome" in answer:
        return RunOutcome.from_json(answer["outcome"])
    if answer["error"] == "CannotStart":
        raise errors.CannotStart(answer["program"], answer["number"])
    raise _error_class(answer["error"])(answer["what"], do=answer["do"])


def _error_class(name: str) -> type[errors.OomguardError]:
    from oomguard.kernel.cgroup import refusals as memcg_errors

    found = getattr(errors, name, None) or getattr(memcg_errors, name, None)
    # One that takes more than `do` would have to be sent whole: none that supervise() raises does.
    if (
        isinstance(found, type)
        and issubclass(found, errors.OomguardError)
        and found is not memcg_errors.LimitDidNotStick
    ):
        return found
    return errors.OomguardError


def main() -> None:
    """The supervisor's side: supervise, and answer."""
    fd = int(sys.argv[1])
    os.set_inheritable(fd, False)  # noqa: FBT003 - the command must not hold it open
    given = json.loads(sys.argv[2])
    options = RunOptions(**{**given, "command": tuple(given["command"])})
    answer: dict[str, Any]
    try:
        answer = {"outcome": supervise(options, Silence()).to_json()}
    except errors.CannotStart as error:
        answer = {"error": "CannotStart", "program": options.command[0], "number": error.number}
    except errors.OomguardError as error:
        answer = {"error": type(error).__name__, "what": str(error), "do": error.do}
    except OSError as error:
        answer = {"error": "WorkerFailed", "what": f"the supervisor failed: {error}", "do": "ulimit -a; df -h"}
    with os.fdopen(fd, "wb") as out:
        out.write(json.dumps(answer).encode())
