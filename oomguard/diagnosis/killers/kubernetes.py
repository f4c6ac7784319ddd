"""Kubernetes: the kubelet evicts; OOMKilled is the kernel's kill at a container's (or the pod's) limit, told by it.

Source: Kubernetes pkg/kubelet/eviction, pkg/kubelet/oom, kubectl describe and get; containerd; node-problem-detector.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, ask_for, fact, in_gib, wording
from oomguard.diagnosis.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

_EVENT = r"(?:[\w-]{1,20}\s+)?(?:(?:[0-9smhd]{2,12}|<unknown>)(?: \(x[0-9]+ over [0-9smhd]{2,12}\))?\s+)?(?:Warning\s+)"
_NAME = r"[a-z0-9](?:[-a-z0-9.]{0,250}[a-z0-9])?"
_FACTS = (
    fact("pod", r"^Name:\s+(\S+)$", "before"),
    fact("pod", rf"\bpod=\\?\"?(?:{_NAME}/)?({_NAME})"),
    fact("pod", rf"\bpod/({_NAME})"),
    fact("pod", rf"[{{,]pod=\\?\"({_NAME})"),
    fact("pod", rf"^kind: Pod(?:\n.*){{0,40}}?\n  name: ({_NAME})$", "before"),
    fact("pod", rf"\"kind\":\s?\"Pod\"(?:.|\n){{0,4000}}?\n {{0,8}}\"name\":\s?\"({_NAME})\"", "before"),
    fact("namespace", r"^Namespace:\s+(\S+)$", "before"),
    fact("namespace", rf"\bpod=\\?\"?({_NAME})/{_NAME}"),
    fact("namespace", rf"^  namespace: ({_NAME})$", "before"),
    fact("namespace", rf"\bnamespace=\\?\"({_NAME})"),
    fact("container", r"^  ([a-z0-9][-a-z0-9.]{0,62}):\n\s+(?:Container ID|Image):", "before"),
    fact("container", r"\bcontainer=\\?\"([a-z0-9][-a-z0-9.]{0,62})"),
    fact("container", r"Container ([a-z0-9][-a-z0-9.]{0,62}) was using", "near"),
    fact("container", r"^ {4}(?:  )?name: ([a-z0-9][-a-z0-9.]{0,62})$", "after"),
    fact("container", r"^\s+\"name\":\s?\"([a-z0-9][-a-z0-9.]{0,62})\",?$", "after"),
    fact("container", r"Task in .{0,300}?(?:cri-containerd-|crio-|docker-|/)([0-9a-f]{12})[0-9a-f]{52}"),
    fact("limit", r"^\s+Limits:(?:\n.*){0,4}?\n\s+memory:\s+(\S+)", "after"),
    fact("limit", r"^\s+limits:(?:\n.*){0,4}?\n\s+memory:\s+\"?([0-9.]+[KMGT]?i?)"),
    fact("limit", r"\"limits\":\s?\{[^}]{0,300}?\"memory\":\s?\"([0-9.]+[KMGT]?i?)\""),
    fact("used", r"was using ([0-9.]+[KMGT]?i?)\b"),
    fact("available", r"available: ([0-9.]+[KMGT]?i?)\b"),
    fact("requested", r"request is ([0-9.]+[KMGT]?i?)\b"),
    fact("started", r"^\s+Started:\s+(.+)$", "after"),
    fact("started", r"\bstartedAt\"?:\s?\"?([0-9TZ:.+-]{10,40})"),
    fact("finished", r"^\s+Finished:\s+(.+)$", "after"),
    fact("finished", r"\bfinishedAt\"?:\s?\"?([0-9TZ:.+-]{10,40})"),
    fact("restarts", r"^\s+Restart Count:\s+([0-9]+)$", "after"),
    fact("restarts", r"\brestartCount\"?:\s?([0-9]+)"),
    fact("exit", r"^\s+Exit Code:\s+([0-9]+)$", "after"),
)


def _pod(kill: OtherKill) -> str:
    pod = shlex.quote(kill.facts["pod"]) if "pod" in kill.facts else "POD"
    return f"{pod} -n {shlex.quote(kill.facts['namespace'])}" if "namespace" in kill.facts else pod


def _raise_limit(kill: OtherKill) -> tuple[Advice, ...]:
    size = in_gib(ask_for(kill), suffix="Gi", small="Mi", none="")
    told = f", for example to {size}" if size else ""
    return (
        Advice(text=f"or raise resources.limits.memory of the container{told}, and deploy it again"),
        Advice(
            text="see its limit, and what it used before",
            command=f"kubectl describe pod {_pod(kill)} | grep -A6 -E 'Last State|Limits'",
        ),
        Advice(
            text="find out which process it was: read the node's kernel log from a debug pod",
            command="kubectl debug node/NODE -it --profile=sysadmin --image=busybox -- chroot /host dmesg",
        ),
    )


def _evicted(kill: OtherKill) -> tuple[Advice, ...]:
    size = in_gib(ask_for(kill), suffix="Gi", small="Mi", none="")
    told = f" ({size})" if size else ""
    return (
        Advice(
            text=f"or request what the pod needs{told}, so that it is placed where there is room",
            command=f"kubectl describe pod {_pod(kill)} | grep -A6 -E 'Status|Requests'",
        ),
        Advice(text="see which pods use the node's memory", command="kubectl top pods -A --sort-by=memory | head"),
    )


EVICTION = Killer(
    ident="kubelet",
    what="the kubelet of Kubernetes",
    habit="it evicts pods when its node runs low on memory",
    identifiers=("kubelet",),
    in_logs=True,
    wordings=(
        wording(
            rf"(?:{_EVENT}Evicted\s.{{0,120}}?)?(?:Pod )?(?P<reason>[Tt]he node was low on resource: (?:memory|\[[Mm]emory).{{0,400}})",
            r"he node was low on resource: memory|he node was low on resource: \[[Mm]emory",
            "Warning  Evicted    12m   kubelet            The node was low on resource: memory. Threshold quantity: 100Mi, available: 77712Ki. Container prep was using 6912864Ki, request is 0, has larger consumption of memory.",
        ),
        wording(
            r"\"?[Ee]viction manager: pod (?P<cgroup>\S{1,300}) (?:is|was) evicted successfully",
            "evicted successfully",
            "I0620 12:47:02.123456    1234 eviction_manager.go:596] eviction manager: pod web-1_default(7f3c2a10) is evicted successfully",
        ),
        wording(
            r"\"?Eviction manager: pod is evicted successfully\"? pod=\"(?P<cgroup>[^\"]{1,300})\"",
            "evicted successfully",
            'I0620 12:47:02.123456    1234 eviction_manager.go:596] "Eviction manager: pod is evicted successfully" pod="default/web-1"',
        ),
    ),
    facts=_FACTS,
    advise=_evicted,
    why="the node ran low on memory",
)


def _node(kill: OtherKill) -> tuple[Advice, ...]:
    node = shlex.quote(kill.facts.get("node", "NODE"))
    return (
        Advice(
            text="see what its pods request and may take", command=f"kubectl describe node {node} | grep -A12 Allocated"
        ),
        Advice(text="give pods limits, so that one of them is killed before the node is full"),
        Advice(
            text="read the kernel's report, which has the numbers",
            command=f"kubectl debug node/{node} -it --profile=sysadmin --image=busybox -- chroot /host dmesg",
        ),
    )


LIMIT = Killer(
    ident="kubernetes",
    what="the Linux kernel, at the memory limit of a container (Kubernetes: OOMKilled)",
    killer="kernel",
    why="the container reached its memory limit",
    identifiers=("containerd", "crio", "k3s", "k0s"),
    in_logs=True,
    wordings=(
        wording(
            r"(?:Last State:\s+\S+\s+)?(?:[Rr]eason|Message|message):\s+OOMKilled(?: \(exit code [0-9]+\))?,?\s*$",
            "OOMKilled",
            "      Reason:       OOMKilled",
        ),
        wording(
            r"(?:(?:Pod \S{1,160} returned a failure\.\s+)?remote_pod: )?(?:[{\[].{0,3000}?[{,\s])?['\"]?(?:reason|Reason)['\"]\s?:\s?['\"]OOMKilled['\"]",
            "OOMKilled",
            '                        "reason": "OOMKilled",',
        ),
        wording(
            r"map\[.{0,3000}?\breason:OOMKilled\b",
            "OOMKilled",
            "map[terminated:map[containerID:containerd://5954f621c17f exitCode:137 finishedAt:2026-03-01T10:00:05Z reason:OOMKilled startedAt:2026-03-01T10:00:00Z]]",
        ),
        wording(  # columns that somebody chose; between words of a sentence stands one blank
            rf"(?P<pod>{_NAME})\s{{2,60}}(?P<container>{_NAME})\s{{2,60}}OOMKilled\s*$",
            "OOMKilled",
            "web-1   prep       OOMKilled",
        ),
        wording(  # Argo, Kubeflow
            r"(?:[^#/'\"]{0,200}?(?:\s{2}|state with this message: ))?OOMKilled \(exit code [0-9]+\)\s*$",
            r"OOMKilled \(exit code",
            "This step is in Failed state with this message: OOMKilled (exit code 137)",
        ),
        wording(  # Flyte
            r"(?:Container \[(?P<container>[\w.-]{1,120})\] )?terminated with exit code \([0-9]+\)\. Reason \[OOMKilled\]",
            r"terminated with exit code \(",
            "Container [prep] terminated with exit code (137). Reason [OOMKilled]. Message:",
        ),
        wording(
            rf"(?:(?P<namespace>{_NAME})\s+)?(?P<pod>{_NAME})\s+[0-9]{{1,3}}/[0-9]{{1,3}}\s+(?:Init:)?OOMKilled\s+(?P<restarts>[0-9]{{1,6}})",
            "OOMKilled",
            "web-1                 0/1     OOMKilled   5 (2m41s ago)   10m",
        ),
        wording(
            r"kube_pod_container_status_(?:last_)?terminated_reason\{[^}]{0,1000}reason=\"OOMKilled\"[^}]{0,1000}\}\s+[1-9]",
            'reason="OOMKilled"',
            'kube_pod_container_status_last_terminated_reason{container="prep",namespace="default",pod="web-1",reason="OOMKilled"} 1',
        ),
        wording(
            _EVENT
            + r"OOMKilling\s.{0,300}?emory cgroup out of memory(?:: Killed process (?P<pid>[0-9]{1,10}) \((?P<name>.{1,48}?)\)(?: total-vm:[0-9]+kB, anon-rss:(?P<size>[0-9]{1,15})(?P<unit>kB))?)?",
            "OOMKilling ",
            "  Warning  OOMKilling  5m  kernel-monitor  Memory cgroup out of memory: Killed process 2131 (stress) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB",
        ),
        wording(
            r"(?:time=(?:\"[^\"]{1,60}\"|\S{1,60}) level=\w{1,10} )?(?:msg=)?\"?(?:TaskOOM event|received container oom event)[\s\"]",
            "TaskOOM event|received container oom event",
            'time="2026-03-01T10:00:00.123Z" level=info msg="TaskOOM event container_id:\\"5954f621c17f\\""',
        ),
        wording(
            r"(?:\w[\w. -]{0,80}: ){1,3}OOMKilled \(exit code:? [0-9]+\)\s*$|Error \(exit code 137\): OOMKilled\s*$",
            r"OOMKilled \(exit code|code 137\): OOMKilled",
            "pod failed: main: OOMKilled (exit code 137)",
        ),
        wording(
            rf"(?P<pod>{_NAME}-[a-z0-9]{{1,63}})\s{{2,60}}OOMKilled\s*$",
            "OOMKilled",
            "web-7d9f4c8b6d-x2k9p   OOMKilled",
        ),
        wording(
            r"'?OOMKilled'?\s*$",
            "OOMKilled",
            "OOMKilled",
            beside=r"\b(?:kubectl|oc|k)\b[^\n]{0,400}\b(?:jsonpath|go-template)[^\n]{0,400}\breason\b[^\n]*\Z",
        ),
    ),
    facts=(
        *_FACTS,
        fact("container", r"[cC]ontainer_?(?:ID|id):\s?\\?\"?([0-9a-f]{12})[0-9a-f]{0,52}"),
    ),
    advise=_raise_limit,
)

NODE = Killer(
    ident="kubernetes-node",
    what="the Linux kernel: the node itself ran out of memory (Kubernetes: SystemOOM)",
    killer="kernel",
    why="the node had no memory left; no container's limit was the reason",
    in_logs=True,
    wordings=(
        wording(
            _EVENT
            + r"OOMKilling\s.{0,300}?Out of memory: Killed process (?P<pid>[0-9]{1,10}) \((?P<name>.{1,48}?)\)(?: total-vm:[0-9]+kB, anon-rss:(?P<size>[0-9]{1,15})(?P<unit>kB))?",
            "OOMKilling ",
            "  Warning  OOMKilling  5m  kernel-monitor  Out of memory: Killed process 2131 (stress) total-vm:2400000kB",
        ),
        wording(
            rf"(?:{_EVENT}SystemOOM\s.{{0,120}}?)?\"?System OOM encountered, victim process: (?P<name>.{{1,48}}?), pid: (?P<pid>[0-9]{{1,10}})",
            "System OOM encountered, victim",
            "  Warning  SystemOOM  12m  kubelet  System OOM encountered, victim process: stress, pid: 470521",
        ),
        wording(
            _EVENT + r"(?P<reason>OOMKilling|SystemOOM)(?:\s|$)",
            "OOMKilling |SystemOOM ",
            "5m          Warning   SystemOOM   node/n3   System OOM encountered",
        ),
    ),
    facts=(fact("node", r"\bnode/([\w.-]{1,120})"),),
    advise=_node,
)
