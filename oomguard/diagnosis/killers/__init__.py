"""Everything that is known of what ends programs for lack of memory, beside the kernel: one table.

To add one: a module with a Killer (or an entry of systems.py, where only its wordings are known), and its name here.
"""

from __future__ import annotations

from oomguard.diagnosis.killers import (
    containers,
    dask,
    earlyoom,
    elsewhere,
    kubernetes,
    lmkd,
    nohang,
    oomd,
    ray,
    sigkill,
    slurm,
    systemd_oomd,
    systems,
)  # fmt: skip

KILLERS = (
    systemd_oomd.KILLER, earlyoom.KILLER, nohang.KILLER, oomd.KILLER, slurm.KILLER, ray.KILLER, dask.KILLER, kubernetes.EVICTION,
    kubernetes.LIMIT, kubernetes.NODE, containers.KILLER, lmkd.KILLER, *systems.SYSTEMS, *elsewhere.MESSAGES, *sigkill.MESSAGES,
)  # fmt: skip
BY_IDENT = {killer.ident: killer for killer in KILLERS}
