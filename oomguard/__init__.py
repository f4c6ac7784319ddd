"""Find out why a job was OOM-killed, and keep it from happening again.

    >>> import oomguard
    >>> shards = oomguard.prepare(oomguard.PrepareOptions(inputs=("train.txt",)), max_rss=512 << 20)

Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oomguard.diagnosis.api import diagnose
    from oomguard.errors import (
        BadInput,
        BudgetExceeded,
        BudgetTooSmall,
        CannotStart,
        Changed,
        InUse,
        MissingExtra,
        NeedsPrivilege,
        NothingFound,
        NotOurs,
        OomguardError,
        Stopped,
        SwapFailed,
        SwapRefused,
        Unreachable,
        WorkerFailed,
    )
    from oomguard.estimation.api import plan
    from oomguard.kernel.cgroup.refusals import LimitDidNotStick, MemcgNotPermitted, MemcgUnavailable
    from oomguard.machine_report.api import doctor
    from oomguard.preparation.api import PrepareEvents, PrepareOptions, prepare
    from oomguard.preparation.dry_run import plan_prepare
    from oomguard.preparation.encoding.native import CoreUnavailable
    from oomguard.script_analysis.api import check_script
    from oomguard.stages import stage
    from oomguard.supervision.api import budget, run
    from oomguard.supervision.control_socket import release
    from oomguard.supervision.model import RunOutcome
    from oomguard.swap.api import (
        SwapEvents,
        SwapOptions,
        add_swap,
        plan_swap,
        plan_swap_removal,
        remove_swap,
        run_with_swap,
        swap_status,
        temporary_swap,
    )

__all__ = [
    "BadInput",
    "BudgetExceeded",
    "BudgetTooSmall",
    "CannotStart",
    "Changed",
    "CoreUnavailable",
    "InUse",
    "LimitDidNotStick",
    "MemcgNotPermitted",
    "MemcgUnavailable",
    "MissingExtra",
    "NeedsPrivilege",
    "NotOurs",
    "NothingFound",
    "OomguardError",
    "PrepareEvents",
    "PrepareOptions",
    "RunOutcome",
    "Stopped",
    "SwapEvents",
    "SwapFailed",
    "SwapOptions",
    "SwapRefused",
    "Unreachable",
    "WorkerFailed",
    "add_swap",
    "budget",
    "check_script",
    "diagnose",
    "doctor",
    "plan",
    "plan_prepare",
    "plan_swap",
    "plan_swap_removal",
    "prepare",
    "release",
    "remove_swap",
    "run",
    "run_with_swap",
    "stage",
    "swap_status",
    "temporary_swap",
]

_HOMES = {  # each public name's module, imported when the name is first used
    "BadInput": "oomguard.errors",
    "BudgetExceeded": "oomguard.errors",
    "BudgetTooSmall": "oomguard.errors",
    "CannotStart": "oomguard.errors",
    "Changed": "oomguard.errors",
    "InUse": "oomguard.errors",
    "LimitDidNotStick": "oomguard.kernel.cgroup.refusals",
    "MemcgNotPermitted": "oomguard.kernel.cgroup.refusals",
    "MemcgUnavailable": "oomguard.kernel.cgroup.refusals",
    "CoreUnavailable": "oomguard.preparation.encoding.native",
    "MissingExtra": "oomguard.errors",
    "NeedsPrivilege": "oomguard.errors",
    "NothingFound": "oomguard.errors",
    "NotOurs": "oomguard.errors",
    "OomguardError": "oomguard.errors",
    "PrepareEvents": "oomguard.preparation.api",
    "PrepareOptions": "oomguard.preparation.api",
    "RunOutcome": "oomguard.supervision.model",
    "Stopped": "oomguard.errors",
    "SwapEvents": "oomguard.swap.api",
    "SwapFailed": "oomguard.errors",
    "SwapOptions": "oomguard.swap.api",
    "SwapRefused": "oomguard.errors",
    "Unreachable": "oomguard.errors",
    "WorkerFailed": "oomguard.errors",
    "add_swap": "oomguard.swap.api",
    "budget": "oomguard.supervision.api",
    "check_script": "oomguard.script_analysis.api",
    "diagnose": "oomguard.diagnosis.api",
    "doctor": "oomguard.machine_report.api",
    "plan": "oomguard.estimation.api",
    "plan_prepare": "oomguard.preparation.dry_run",
    "plan_swap": "oomguard.swap.api",
    "plan_swap_removal": "oomguard.swap.api",
    "prepare": "oomguard.preparation.api",
    "release": "oomguard.supervision.control_socket",
    "remove_swap": "oomguard.swap.api",
    "run": "oomguard.supervision.api",
    "run_with_swap": "oomguard.swap.api",
    "stage": "oomguard.stages",
    "swap_status": "oomguard.swap.api",
    "temporary_swap": "oomguard.swap.api",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
