"""Docker and podman: the kernel kills at the container's limit; inspect and events tell of it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, ask_for, fact, in_gib, wording
from oomguard.diagnosis.model import Advice
from oomguard.text import as_root

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _advise(kill: OtherKill) -> tuple[Advice, ...]:
    engine = "podman" if kill.facts.get("engine") or kill.told_by == "podman" else "docker"
    name = shlex.quote(kill.facts.get("container") or kill.name or "CONTAINER")
    size = in_gib(ask_for(kill), suffix="g", small="m", none="SIZE")
    swap = f" --memory-swap {size}" if engine == "docker" else ""
    return (
        Advice(text="or give the container more", command=f"{engine} update --memory {size}{swap} {name}"),
        Advice(text="find out which process it was, on the host", command=as_root("diagnose")),
    )


_WHAT = "the Linux kernel, at the memory limit of a container (Docker or podman: OOMKilled)"
_WHY = "the container reached its memory limit"

# The answer to a question that stands above it; in long logs it is not looked for.
ASKED = Killer(
    ident="docker-asked",
    what=_WHAT,
    killer="kernel",
    why=_WHY,
    wordings=(
        wording(
            r"'?true\b(?: 137)?'?\s*$",
            r"true(?: 137)?'?(?:[ \t\r]*\n|[ \t\r]*\Z)",
            "true",
            beside=r"\b(?:docker|podman|nerdctl)\b[^\n]{0,200}\binspect\b[^\n]{0,200}\.OOMKilled\s?\}\}[^\n]*\Z",
        ),
    ),
    facts=(
        fact("engine", r"\b(podman)\b[^\n]{0,200}\binspect\b", "before"),
        fact("container", r"\binspect\b.{0,300}\}\}['\"]?\s+([\w.-]{1,120})\s*$", "before"),
    ),
    advise=_advise,
)

KILLER = Killer(
    ident="docker",
    what=_WHAT,
    killer="kernel",
    why=_WHY,
    identifiers=("dockerd", "docker", "podman", "conmon"),
    in_logs=True,
    wordings=(
        wording(
            r"(?:(?:map|&|\\?\"[\w.-]{1,60}\\?\"\s?:\s?)?[{\[].{0,60000}?[{,\[\s])?\\?\"?OOMKilled\\?\"?(?::\s?|=)\\?\"?[Tt]rue\b",
            r'OOMKilled\\?"?(?:: ?|=)\\?"?[Tt]rue',
            '            "OOMKilled": true,',
        ),
        wording(
            r"(?:[A-Z]{2,5} )?container oom (?P<container>[0-9a-f]{12,64})(?: \((?P<labels>.{0,600})\))?",
            "container oom [0-9a-f]",
            "2026-03-01T10:00:00.123456789Z container oom 5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724 (image=prep:1, name=web)",
        ),
        wording(
            r"(?:[{\[].{0,2000}?[{,\s])?\"?(?:status|Action|action)\":\s?\"oom\"",
            r'"oom\\?"',
            '{"status":"oom","id":"5954f621c17f","from":"prep:1","Type":"container","Action":"oom"}',
        ),
        wording(
            r"(?:(?:docker|Error response from daemon|[Ff]ailed to (?:create|start) [\w\"-]{1,40}(?: [\w\"-]{1,40})?|rpc error: code = \w{1,20} desc = failed to [\w ]{1,40}"
            r"|(?:OCI runtime|runc) create failed|unable to start container process): ){0,8}(?P<reason>container init was OOM-killed \(memory limit too low\?\))",
            "init was OOM-killed",
            "docker: Error response from daemon: failed to create task: OCI runtime create failed: runc create failed: container init was OOM-killed (memory limit too low?): unknown.",
        ),
        wording(
            r"time=\S{1,60} level=\w{1,10} msg=(?:\w+|\"[^\"]{1,80}\") .{0,300}?topic=(?P<reason>/tasks/oom)\b",
            "topic=/tasks/oom",
            'time="2026-03-01T10:00:00.123Z" level=debug msg=event module=libcontainerd namespace=moby topic=/tasks/oom',
        ),
    ),
    facts=(
        fact("container", r"\"Name\":\s?\"/?([\w.-]{1,120})\"", "near"),
        fact("container", r"\bname=([\w.-]{1,120})"),
        fact("container", r"\"[iI][dD]\":\s?\"([0-9a-f]{12})"),
        fact("limit", r"\"Memory\":\s?([1-9][0-9]{5,15})\b"),
        fact("finished", r"\"?FinishedAt\"?:\s?\"([0-9TZ:.+ -]{10,40})\""),
        fact("started", r"\"StartedAt\":\s?\"([0-9TZ:.+ -]{10,40})\""),
        fact("pid_inside", r"\"Pid\":\s?([1-9][0-9]*)"),
        fact("exit", r"\"?ExitCode\"?:\s?([0-9]{1,3})"),
        fact("engine", r"(\"(?:ConmonPidFile|OCIRuntime|PidFile)\"|libpod)"),
    ),
    advise=_advise,
)
