"""Ray's memory monitor. Source: ray/_private/memory_monitor.py, src/ray/raylet/node_manager.cc, 2.0 to 2.5x."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, fact, wording
from oomguard.diagnosis.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _advise(_kill: OtherKill) -> tuple[Advice, ...]:
    return (
        Advice(
            text="or run fewer tasks at a time: request more of the node's memory for each",
            command="@ray.remote(memory=SIZE_IN_BYTES)",
        ),
        Advice(text="or raise the threshold at which Ray kills", command="export RAY_memory_usage_threshold=0.98"),
    )


KILLER = Killer(
    ident="ray",
    what="Ray's memory monitor",
    why="the memory of the node exceeded the threshold at which Ray kills (0.95 of it by default)",
    in_logs=True,
    wordings=(
        wording(
            r"(?:\S{0,120}Error: )?(?P<reason>Task was killed due to the node running low on memory)",
            "Task was killed due to the node",
            "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.",
        ),
        wording(
            r"(?P<reason>ray\.exceptions\.OutOfMemoryError)(?=:|\s*$)",
            r"ray\.exceptions\.OutOfMemoryError",
            "ray.exceptions.OutOfMemoryError: 1 worker(s) were killed",
            kind="begin",
        ),
        wording(
            r"(?:\S{0,120}\.)?(?P<reason>RayOutOfMemoryError: More than [0-9.]+% of the memory on node .{0,200})",
            "RayOutOfMemoryError: More than",
            "ray.memory_monitor.RayOutOfMemoryError: More than 95% of the memory on node n7 is used (61.0 / 64.0 GB).",
        ),
        wording(
            r"Memory on the node .{0,600}?pid=(?P<pid>[0-9]{1,10}), memory used=(?P<size>[0-9.]{1,12})(?P<unit>[KMG]?B)\) was running was (?P<reason>.{1,120}?)(?:\. Ray killed|$)",
            "Memory on the node",
            "Memory on the node (IP: 10.0.0.2, ID: ef) where the task (task ID: c8, name=prep, pid=4711, memory used=5.10GB) was running was 15.21GB / 16.00GB (0.950625), which exceeds the memory usage threshold of 0.95. Ray killed this worker",
        ),
        wording(
            r"(?P<reason>(?P<count>[1-9][0-9]{0,8}) Workers? \(tasks / actors\) killed due to memory pressure \(OOM\))",
            "killed due to memory pressure",
            "(raylet) node_manager.cc:3064: 12 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: ef, IP: 10.0.0.9) over the last time period.",
        ),
        wording(
            r"(?P<reason>System memory low at node with IP (?P<node>\S{1,64})\..{0,200}?), killing latest task with name (?P<name>\S{1,120})",
            "System memory low at node",
            "(raylet) node_manager.cc:2963: System memory low at node with IP 10.0.0.2. Used memory (23.63GB) / total capacity (33.28GB) (0.709971) exceeds threshold 0.7, killing latest task with name Leaker.run and actor ID dc to avoid running out of memory.",
        ),
    ),
    facts=(fact("node", r"IP:? ([0-9.]{7,15}|[0-9a-f:]{3,40})"),),
    advise=_advise,
)
