"""Logs of real machines and what a person read in each: where they are, and how an answer is compared with them."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from oomguard.diagnosis.causes.find import find_cause
from oomguard.diagnosis.killers.reader import parse_log
from oomguard.formats.kernel_log import LogFinding, OomEvent, OtherKill

KIB = 1024
OUTCOMES = {"no_killable": "no_victim", "truncated": "unknown"}
# The cause in one word, from the sentence that the person wrote; only of events whose report is complete.
CAUSES = {
    "p01": ["exhaustion"], "p03": ["manual"], "p05": ["memcg"], "p07": ["memcg", "memcg"],
    "p11": ["exhaustion"], "p15": ["memcg", "memcg"], "p17": ["memcg"], "p21": ["memcg", "false_alarm"],
    "p29": ["exhaustion"], "p31": ["exhaustion", "exhaustion"], "p33": ["exhaustion"], "p35": ["exhaustion"],
    "p41": ["low_zone", "exhaustion"],
    # and partial ones whose cause is told all the same
    "p09": ["exhaustion"] * 3, "p13": ["exhaustion"], "p23": ["memcg"], "p27": ["cpuset"] * 2, "p37": ["mempolicy"],
    "p43": ["memcg"], "p45": ["low_zone"], "p47": ["manual"], "p53": ["fragmentation"], "u11": ["false_alarm"],
}  # fmt: skip
# What filled the memory, from the same sentences.
FILLERS = {
    "p01": ["anon"],
    "p15": [None, "dirty"],
    "p21": ["kernel", None],
    "p31": ["anon", "unaccounted"],
    "p33": ["slab"],
}


@dataclass
class Case:
    """One log, its truth, and what the parser found."""

    name: str
    truth: dict[str, Any]
    found: list[LogFinding]

    @property
    def events(self) -> list[OomEvent]:
        return [finding for finding in self.found if isinstance(finding, OomEvent)]

    @property
    def others(self) -> list[OtherKill]:
        return [finding for finding in self.found if isinstance(finding, OtherKill)]


def data_folder() -> Path:
    """The folder of the shared logs, or skip."""
    folder = Path(os.environ.get("OOMGUARD_DATA", "/nowhere"))
    if not (folder / "oomlogs").is_dir():
        pytest.skip("needs the logs of real machines: set OOMGUARD_DATA to the folder that holds oomlogs/")
    return folder


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").split("\n")


def read_cases() -> list[Case]:
    cases = []
    for file in sorted((data_folder() / "oomlogs").glob("*.json")):
        found = list(parse_log(read_lines(file.with_suffix(".log"))))
        cases.append(Case(file.stem, json.loads(file.read_text()), found))
    return cases


@dataclass
class Score:
    """Equal answers of all, by field."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def check(self, case: Case, field_name: str, truth: object, ours: object) -> None:
        self.asked[field_name] += 1
        if truth == ours:
            self.right[field_name] += 1
        else:
            self.wrong.append(f"{case.name}: {field_name}: {truth!r}, we say {ours!r}")

    def __str__(self) -> str:
        return "\n".join(f"{name:16}{self.right[name]:4} of {count}" for name, count in self.asked.items())


def score_all(cases: list[Case]) -> Score:
    """Compare every field that the truth gives."""
    score = Score()
    for case in cases:
        told = case.truth["events"]
        victims = {(kill["pid"], kill["name"]) for event in told for kill in event["kills"]}
        score.check(
            case, "victims", victims, {(kill.pid, kill.name) for event in case.events for kill in event.victims}
        )
        score.check(case, "events", len(told), len(case.events))
        if killer := case.truth.get("killer"):
            score.check(case, "killer", [killer.removesuffix(" memory monitor")], [kill.killer for kill in case.others])
            score.check(case, "other's victim", ["named"], _names(case, case.truth["victim"], case.truth["victim_pid"]))
        else:
            score.check(case, "no killer", [], case.others)
        for number, (truth, event) in enumerate(zip(told, case.events, strict=False)):
            _score_event(score, case, truth, event, number)
    return score


def _names(case: Case, victim: str, pid: int | None) -> list[str]:
    kill = case.others[0]
    right = kill.pid == pid and victim in (kill.name, kill.cgroup, (kill.cgroup or "").rpartition("/")[2])
    return ["named" if right else str(kill)]


def _score_event(score: Score, case: Case, truth: dict[str, Any], event: OomEvent, number: int) -> None:
    for name, told, ours in _fields(case, truth, event):
        if told is not None:
            score.check(case, name, told, ours)
    score.check(case, "constraint", None if truth["constraint"] == "unknown" else truth["constraint"], event.constraint)
    by_pid = {victim.pid: victim for victim in event.victims}
    for kill in truth["kills"]:
        victim = by_pid.get(kill["pid"])
        for key in ("total_vm", "anon_rss", "file_rss", "shmem_rss", "pgtables"):
            if victim is not None and kill[f"{key}_kb"] is not None:
                size = getattr(victim, key)
                score.check(case, f"victim {key}", kill[f"{key}_kb"], None if size is None else size // KIB)
        for key in ("uid", "oom_score_adj"):
            if victim is not None and kill[key] is not None:
                score.check(case, f"victim {key}", kill[key], getattr(victim, key))
    if causes := CAUSES.get(case.name[:3]):
        score.check(case, "cause", causes[number], find_cause(event).kind)
    if fillers := FILLERS.get(case.name[:3]):
        score.check(case, "filled by", fillers[number], find_cause(event).filler)


def _fields(case: Case, truth: dict[str, Any], event: OomEvent) -> list[tuple[str, object, object]]:
    mem_info, memcg, tasks = event.mem_info, event.memcg, event.tasks
    largest = tasks.largest[0] if tasks and tasks.largest else None
    page = event.page_size or 4 * KIB
    top = truth["top_rss"]
    return [
        ("constraint text", truth["constraint_text"], event.constraint_text),
        ("manual", truth["manual_sysrq"], event.manual),
        ("trigger name", truth["trigger_name"], event.trigger_name),
        ("trigger pid", truth["trigger_pid"], event.trigger_pid),
        ("gfp mask", truth["gfp_mask"], None if event.gfp_mask is None else f"{event.gfp_mask:#x}"),
        ("gfp flags", truth["gfp_flags"] or None, event.gfp_flags),
        ("order", truth["order"], event.order),
        ("oom_memcg", truth["oom_memcg"], event.oom_memcg),
        ("task_memcg", truth["task_memcg"], event.task_memcg),
        ("memcg usage", truth["memcg_usage_kb"], _kib(memcg.usage if memcg else None)),
        ("memcg limit", truth["memcg_limit_kb"], _kib(memcg.limit if memcg else None)),
        ("ram pages", truth["ram_pages"], mem_info and mem_info.ram_pages),
        ("swap total", truth["swap_total_kb"], _kib(mem_info.swap_total if mem_info else None)),
        ("swap free", truth["swap_free_kb"], _kib(mem_info.swap_free if mem_info else None)),
        ("task rows", truth["task_table_rows"], tasks and tasks.rows),
        ("page size", case.truth["page_size_kb"], page // KIB),
        (
            "largest",
            top and (top["pid"], top["name"], top["rss_pages"]),
            largest and (largest.pid, largest.name, largest.rss // page),
        ),
        ("outcome", OUTCOMES.get(truth["outcome"], truth["outcome"]), event.outcome),
    ]


def _kib(size: int | None) -> int | None:
    return None if size is None else size // KIB
