"""A diagnosis for programs: "oomguard.diagnosis/2"."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oomguard.diagnosis.model import Accounting, ExplainedEvent, Findings
    from oomguard.formats.kernel_log import Notice, OtherKill, UnitNotice, Victim
    from oomguard.formats.kernel_log.records import LogTime


def diagnosis_json(diagnosis: Findings) -> dict[str, Any]:
    """Everything that was found. Raises: nothing."""
    return {
        "schema": "oomguard.diagnosis/2",
        "verdict": diagnosis.verdict,
        "killer": diagnosis.killer,
        "cause": diagnosis.cause,
        "events": [event_json(explained) for explained in reversed(diagnosis.events)],  # oldest first, as in the log
        "other_kills": [_other_json(other) for other in diagnosis.others],
        "units": [_unit_json(unit) for unit in diagnosis.units],
        "counters": asdict(diagnosis.counters) if diagnosis.counters else None,
        "advice": [asdict(advice) for advice in diagnosis.advice],
        "sources": [asdict(source) for source in diagnosis.sources],
        "found": diagnosis.found,
        "not_asked": diagnosis.not_asked,
        "also_told": [_other_json(other) for other in diagnosis.also_told],
        "notices": [_notice_json(notice) for notice in diagnosis.notices],
        "kernel_count": diagnosis.kernel_count,
    }


def event_json(explained: ExplainedEvent) -> dict[str, Any]:
    """One event of the kernel, with its cause."""
    event, cause = explained.event, explained.cause
    mem_info, memcg, tasks = event.mem_info, event.memcg, event.tasks
    largest = tasks.largest[0] if tasks and tasks.largest else None
    return {
        **_time_json(event.time),
        "constraint": event.constraint,
        "constraint_text": event.constraint_text,
        "manual": event.manual,
        "trigger": {"name": event.trigger_name, "pid": event.trigger_pid},
        "gfp_mask": None if event.gfp_mask is None else f"{event.gfp_mask:#x}",
        "gfp_flags": event.gfp_flags,
        "order": event.order,
        "victims": [
            _victim_json(victim)
            for victim in event.victims
        ],
        "chosen": _victim_json(event.chosen) if event.chosen else None,
        "oom_memcg": event.oom_memcg,
        "task_memcg": event.task_memcg,
        "memcg_usage": memcg.usage if memcg else None,
        "memcg_limit": memcg.limit if memcg else None,
        "memcg_stat": dict(memcg.stat) if memcg else None,
        "page_size": event.page_size,
        "ram_pages": mem_info.ram_pages if mem_info else None,
        "swap_total": mem_info.swap_total if mem_info else None,
        "swap_free": mem_info.swap_free if mem_info else None,
        "task_rows": tasks.rows if tasks else None,
        "largest": {"pid": largest.pid, "name": largest.name, "rss": largest.rss} if largest else None,
        "groups": [asdict(group) for group in tasks.groups] if tasks else [],
        "outcome": event.outcome,
        "panicked": event.panicked,
        "allocating_task": event.allocating_task,
        "oom_group": event.oom_group,
        "kernel": event.kernel,
        "cause": _cause_json(explained),
        "missing": list(event.missing),
        "notes": [*event.notes, *cause.notes],
        "evidence": dict(event.evidence),
    }  # fmt: skip


def _victim_json(victim: Victim) -> dict[str, Any]:
    return {
        "pid": victim.pid, "name": victim.name, "uid": victim.uid, "total_vm": victim.total_vm,
        "anon_rss": victim.anon_rss, "file_rss": victim.file_rss, "shmem_rss": victim.shmem_rss,
        "pgtables": victim.pgtables, "swap": victim.swap, "oom_score_adj": victim.oom_score_adj,
        "reaped_only": victim.reaped_only,
    }  # fmt: skip


def _cause_json(explained: ExplainedEvent) -> dict[str, Any]:
    cause = explained.cause
    return {
        "kind": cause.kind, "filled_by": cause.filler, "certain": cause.certain, "limit": cause.limit,
        "limit_owner": cause.limit_owner, "ancestor_limit": cause.ancestor, "why": cause.why, "room": cause.room,
        "accounting": _accounting_json(cause.accounting),
    }  # fmt: skip


def _accounting_json(accounting: Accounting | None) -> dict[str, Any] | None:
    if accounting is None:
        return None
    return {
        "total": accounting.total,
        "parts": {share.key: share.size for share in accounting.shares if share.within is None},
        "within_parts": {share.key: share.size for share in accounting.shares if share.within},
        "unaccounted": accounting.unaccounted,
    }


def _time_json(time: LogTime | None) -> dict[str, Any]:
    return {"time": time.text if time else None, "monotonic_seconds": time.monotonic if time else None}


def _other_json(other: OtherKill) -> dict[str, Any]:
    told = {
        key: getattr(other, key)
        for key in ("killer", "told_by", "pid", "name", "cgroup", "processes", "rss", "reason", "line")
    }
    return {**_time_json(other.time), **told, "facts": dict(other.facts)}


def _notice_json(notice: Notice) -> dict[str, Any]:
    told = {key: getattr(notice, key) for key in ("says", "told_by", "pid", "name", "reason", "line")}
    return {**_time_json(notice.time), **told, "facts": dict(notice.facts)}


def _unit_json(unit: UnitNotice) -> dict[str, Any]:
    return {**_time_json(unit.time), "unit": unit.unit, "failed": unit.failed, "line": unit.line}
