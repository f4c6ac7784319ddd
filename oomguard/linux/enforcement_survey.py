"""How `oomguard run` would hold a job here, found out by trying."""

from __future__ import annotations

import json
import os
import sys

from oomguard.linux.budget_memcg import enter_budget_memcg
from oomguard.linux.memcg_errors import MemcgUnavailable
from oomguard.results.doctor_facts import BetterWay, EnforcementFacts
from oomguard.units import MIB

_TRIED = 64 * MIB


def survey_enforcement() -> EnforcementFacts:
    """Make a memory cgroup for a child that does nothing, and say how far that got. Nothing of it stays."""
    sys.stdout.flush()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.write(write, json.dumps(_try()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        found = json.loads(answer.read() or b'{"way": "measurement", "cannot": "", "better": []}')
    os.waitpid(child, 0)
    better = tuple(BetterWay(**way) for way in found["better"])
    return EnforcementFacts(way=found["way"], cannot=found["cannot"], better=better)


def _try() -> dict[str, object]:
    try:
        with enter_budget_memcg(_TRIED) as budget:
            return {"way": budget.kind, "cannot": "; ".join(budget.caveats), "better": []}
    except MemcgUnavailable as error:
        refused = {"way": "memory cgroup", "why": str(error), "do": error.do}
        return {"way": "measurement", "cannot": "nobody enforces it", "better": [refused]}
