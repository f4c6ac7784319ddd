"""What the kernel counts about kills for memory. Source: Linux mm/vmstat.c (oom_kill, 4.13); mm/memcontrol.c."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MemcgCounters:
    """A cgroup that is ours or above ours. Units: bytes. `oom_kills`: on v2 with those of the cgroups below."""

    name: str
    oom_kills: int
    limit: int | None
    peak: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OomCounters:
    """All counters. `machine_kills`: since boot, of all processes of the machine, containers too; None: not told."""

    machine_kills: int | None
    memcgs: tuple[MemcgCounters, ...]  # our own first
    in_container: bool
    batch_job: str | None  # Slurm's number of the job we run in
    in_kubernetes: bool
