"""Slurm: the kernel kills at the limit of the job's cgroup; slurmstepd, srun and the accounting tell of it.

Source: Slurm plugins/task/cgroup, plugins/cgroup/v1 and v2, plugins/jobacct_gather; sacct(1), seff(1).
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, ask_for, fact, in_gib, parse_size, wording
from oomguard.diagnosis.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

_JOB = r"[0-9]{1,12}(?:[_+][0-9]{1,9})?"
# What is beside the state of a job, or of a step, in JSON.
_OF_A_JOB = r"\"(?:job_?id|exit_code)\"\s?:"


def _advise(kill: OtherKill) -> tuple[Advice, ...]:
    job = shlex.quote(kill.facts.get("job", "JOBID"))
    size = ask_for(kill)
    told = " (1.5 times what it had)" if size else ""
    return (
        Advice(text=f"or ask for more memory{told}", command=f"sbatch --mem={in_gib(size)} JOB.sh"),
        Advice(
            text="see how much each step had and used",
            command=f"sacct -j {job} --format=JobID,State,ExitCode,ReqMem,MaxRSS",
        ),
    )


# A table of sacct: the line of its heads, the rules below it, the sizes in it.
_HEAD = re.compile(r"(?:^|[\s|])JobID(?=[\s|]).*\bState\b|\bState(?=[\s|]).*[\s|]JobID(?:[\s|]|$)")
_RULES = re.compile(r"\s*-[- ]+\s*")
_SIZE = re.compile(r"[0-9.]+[KMGT]n?")  # "c": of each of the job's processors


def _read_accounting(kill: OtherKill, lines: list[str]) -> dict[str, str]:
    """What the job asked for and what its steps used, by the heads of sacct's columns, in whatever order they are."""
    rows: list[dict[str, str]] = []
    head = ""
    for place, line in enumerate(lines):
        if _HEAD.search(line):
            head = line
            rules = lines[place + 1] if place + 1 < len(lines) else ""
            spans = [found.span() for found in re.finditer("-+", rules)] if _RULES.fullmatch(rules) else []
        elif head and (row := _row_of(line, head, spans)):
            rows.append(row)
    own = [row for row in rows if row["JobID"].partition(".")[0] == kill.facts.get("job")]
    killed = [row for row in own if row.get("State", "").startswith("OUT_OF_ME")]
    asked = next((row["ReqMem"] for row in own if _SIZE.fullmatch(row.get("ReqMem", ""))), None)
    sizes = [row["MaxRSS"] for row in killed if _SIZE.fullmatch(row.get("MaxRSS", ""))]
    used = max(sizes, key=lambda size: parse_size(size) or 0, default=None)
    return {key: value.rstrip("n") for key, value in (("limit", asked), ("used", used)) if value}


def _row_of(line: str, head: str, spans: list[tuple[int, int]]) -> dict[str, str] | None:
    if "|" in head:
        cells, names = line.split("|"), head.split("|")
    else:
        cells, names = ([text[start:end] for start, end in spans] for text in (line, head))
    row = {name.strip(): cell.strip() for name, cell in zip(names, cells, strict=False)}
    return row if re.fullmatch(rf"{_JOB}(?:\.\w+)?", row.get("JobID", "")) else None


_FACTS = (
    fact("job", rf"(?:StepId=|JobId=|[Ss]tep |Job ID: |^\s*Job |SLURM_JOB_ID=|job )({_JOB})"),
    fact("job", rf"\bJob ({_JOB}) (?:\(task: [0-9]+\)|exceeded )"),
    fact("limit", r"exceeded ([0-9]{4,15}) KB memory limit", unit="K"),
    fact("job", r"\"job_id\":\s?([1-9][0-9]{0,11})"),
    fact("job", rf"^\s*({_JOB})(?:\.\w+)?[\s|].*OUT_OF_ME"),
    fact("step", rf"(?:StepId=|step ){_JOB}\.(\w{{1,20}})"),
    fact("used", r"Memory Utilized: ([0-9.]+ [KMGT]?B)"),
    fact("used", r"MaxRSS=([0-9.]+[KMGT])"),
    # "StepId=" came after the unit had become bytes; before, it was KiB, and bytes in the last of those versions: where
    # either may be, as from 64 MiB to a GiB of one, it is not told.
    fact("used", r"Id=\S{1,40} exceeded memory limit \(([0-9]{8,15})\s?>"),
    fact("limit", r"Id=\S{1,40} exceeded memory limit \([0-9]+ > ([0-9]{8,15})\)"),
    fact("used", r"exceeded (?:job |step )?memory limit \(([0-9]{4,7}|[1-6][0-9]{7})\s?>", unit="K"),
    fact("used", r"exceeded (?:job |step )?memory limit \(([0-9]{10,15})\s?>"),
    fact("limit", r"exceeded (?:job |step )?memory limit \([0-9]+ > ([0-9]{4,7}|[1-6][0-9]{7})\)", unit="K"),
    fact("limit", r"exceeded (?:job |step )?memory limit \([0-9]+ > ([0-9]{10,15})\)"),
    # sacct --format=JobID,State,ExitCode,ReqMem,MaxRSS, with bars or blanks between the columns
    fact(
        "limit", r"OUT_OF_ME\S{0,5}[|\s]+[0-9]+:[0-9]+[|\s]+([0-9.]+[KMGT])n?\b"
    ),  # "c": of each of the job's processors
    fact(
        "used",
        r"OUT_OF_ME\S{0,5}[|\s]+[0-9]+:[0-9]+(?:\|[0-9.KMGTcn]*\||\s+(?:[0-9.]+[KMGT][cn]?\s+)?)([0-9.]+K)\b",
    ),
    # The job's own row names what it asked for, those of its steps do not.
    fact(
        "limit",
        rf"^\s*{_JOB}[\s|]+[A-Z][A-Z_]{{1,20}}\+?[\s|]+[0-9]+:[0-9]+[\s|]+([0-9.]+[KMGT])n?[\s|]*$",
        "before",
    ),
    fact("limit", r"Memory Efficiency: [0-9.]+% of ([0-9.]+ [KMGT]?B)"),
    fact("limit", r"(?:ReqMem|--mem|AllocMem|mem)=([0-9.]+[KMGT])"),
)

KILLER = Killer(
    ident="slurm",
    what="the limit of the Slurm job (the kernel killed, Slurm reports it)",
    why="the job exceeded the memory it requested",
    identifiers=("slurmstepd", "slurmd"),
    in_logs=True,
    wordings=(
        wording(
            r"(?:slurmstepd(?:-\S{1,64})?: )?(?:error: )?(?:\*\*\* )?Detected (?P<count>[1-9][0-9]{0,8}) oom[-_ ]kill(?: or \S+)? event\(?s?\)? in (?P<cgroup>(?:StepId=|step )\S{1,64}?)(?: cgroup)?\.(?:\s|$)",
            "oom_kill event|oom-kill event|oom_kill or |oom-kill or |oom kill event",
            "slurmstepd: error: Detected 1 oom_kill event in StepId=4711.batch. Some of the step tasks have been OOM Killed.",
        ),
        wording(
            r"(?:slurmstepd: )?(?:error: )?(?P<reason>Some of (?:your processes|the step tasks) (?:may )?have been (?:killed by the cgroup out-of-memory handler|OOM Killed))",
            "have been killed by the cgroup out|have been OOM Killed",
            "slurmstepd: error: Some of your processes may have been killed by the cgroup out-of-memory handler.",
        ),
        wording(
            r"(?:slurmstepd: )?(?:error: )?(?P<reason>Exceeded (?:job|step) memory limit at some point.{0,200})",
            "memory limit at some point",
            "slurmstepd: error: Exceeded job memory limit at some point.",
        ),
        wording(
            r"(?:\S{1,64}: )?error: (?P<node>\S{1,64}): tasks? [0-9,\[\]-]{1,64}: (?P<reason>Out Of Memory)",
            "Out Of Memory",
            "srun: error: n7: task 0: Out Of Memory",
        ),
        wording(
            rf"(?P<job>{_JOB})(?:\.(?P<step>\w{{1,20}}))?[\s|][^'\"`()]{{0,1500}}?(?P<reason>OUT_OF_ME(?:\+|MORY))(?=[\s|]|$)",
            "OUT_OF_ME",
            "4711.batch        batch               ann          4 OUT_OF_ME+    0:125",
        ),
        wording(  # other columns first
            rf"[\w.+-]{{1,32}}(?:\||\s{{2,}})(?P<job>{_JOB})(?:\.(?P<step>\w{{1,20}}))?[\s|][^'\"`()]{{0,1500}}?(?P<reason>OUT_OF_ME(?:\+|MORY))(?=[\s|]|$)",
            "OUT_OF_ME",
            "      ann  4711.batch        batch OUT_OF_ME+",
        ),
        wording(
            rf"(?P<reason>OUT_OF_ME(?:\+|MORY))[\s|]+(?P<job>{_JOB})(?:\.(?P<step>\w{{1,20}}))?(?=[\s|]|$)",
            "OUT_OF_ME",
            "OUT_OF_MEMORY|4711.batch|4123456K|4G",
        ),
        wording(
            rf"(?:Subject: )?Slurm (?:Array \S{{1,20}} )?Job_id=(?P<job>{_JOB})\b[^'\"`]{{0,200}}?, (?P<reason>OUT_OF_MEMORY)",
            "OUT_OF_ME",
            "Slurm Job_id=4711 Name=prep Failed, Run time 00:12:33, OUT_OF_MEMORY, ExitCode 0",
        ),
        wording(
            r"(?:State: |JobState=|State=)(?P<reason>OUT_OF_MEMORY)(?: \(exit code [0-9]+\)|\s|$)",
            "OUT_OF_ME",
            "State: OUT_OF_MEMORY (exit code 0)",
        ),
        wording(
            rf"_?job_complete: JobId=(?P<job>{_JOB})\S{{0,40}} (?P<reason>OOM failure)",
            "OOM failure",
            "[2026-03-01T10:00:00.123] _job_complete: JobId=4711 OOM failure",
        ),
        wording(
            r"(?:\{.{0,2000}?[{,\s])?\"(?:job_state|current|state\":\s?\{\s?\"current)\":\s?\[?\s?\"(?P<reason>OUT_OF_MEMORY)\"",
            "OUT_OF_ME",
            '"state": {"current": ["OUT_OF_MEMORY"], "reason": "OutOfMemory"},',
        ),
        wording(  # anything may have a state: one of a job has its number, or how it ended, beside it
            r"\{(?=.{0,3000}?\"(?:job_?id|exit_code)\"\s?:)(?:.{0,2000}?[{,\s])?\"state\":\s?\[?\s?\"(?P<reason>OUT_OF_MEMORY)\"",
            "OUT_OF_ME",
            '{"job_id": 4711, "name": "prep", "state": "OUT_OF_MEMORY", "exit_code": 125}',
        ),
        wording(  # the same, a line for each
            r"\"state\":\s?\"(?P<reason>OUT_OF_MEMORY)\"",
            "OUT_OF_ME",
            '"state": "OUT_OF_MEMORY",',
            beside=_OF_A_JOB,
        ),
        wording(
            r"\"(?P<reason>OUT_OF_MEMORY)\",?\s*$",
            "OUT_OF_ME",
            '"OUT_OF_MEMORY"',
            beside=rf"{_OF_A_JOB}.*\"(?:current|job_state|state)\":\s?\[\s*\Z",
        ),
    ),
    facts=_FACTS,
    read_table=_read_accounting,
    advise=_advise,
)

ENFORCED = Killer(
    ident="slurm-limit",
    what="Slurm, because the job exceeded its memory limit",
    killer="slurm",
    tells_who=True,
    why="the job exceeded the memory it requested",
    in_logs=True,
    wordings=(
        wording(
            r"(?:slurmstepd: )?error: (?P<cgroup>(?:Step|Job|StepId=|JobId=) ?[0-9]\S{0,64}) (?P<reason>exceeded (?:job |step )?memory limit.{0,200})",
            "memory limit",
            "slurmstepd: error: StepId=4711.0 exceeded memory limit (213737472 > 104857600), being killed",
        ),
        wording(
            r"(?:slurmd\[\S{1,64}\]: )?error: (?P<cgroup>(?:Step|Job) [0-9]\S{0,64}) (?P<reason>exceeded [0-9]+ KB memory limit, being killed)",
            "KB memory limit, being killed",
            "slurmd[n7]: error: Job 4711 exceeded 4194304 KB memory limit, being killed",
        ),
        wording(
            r"(?:slurmstepd: )?(?:error: )?(?P<reason>Exceeded (?:job|step) memory limit)\s*$",
            "Exceeded job memory limit|Exceeded step memory limit",
            "srun: Exceeded job memory limit",
        ),
    ),
    facts=_FACTS,
    advise=_advise,
)

# What is met in short texts alone: their words need not be looked for in gigabytes of log.
STATUS = Killer(
    ident="slurm-status",
    what=KILLER.what,
    killer="slurm",
    why=KILLER.why,
    wordings=(
        wording(
            rf"(?P<job>{_JOB})(?:\s+\S{{1,64}}){{3}}\s+OOM?\s+[0-9:-]{{4,14}}\s+[0-9]{{1,5}}\s",
            " OOM  | OO  ",
            "              4711       cpu     prep      ann OOM       0:12      1 n7",
        ),
        wording(
            rf"(?:(?:message|\S{{1,40}}): )?SLURM-job '(?P<job>{_JOB})' failed, SLURM status is: '(?P<reason>OUT_OF_MEMORY)'",
            "SLURM status is: 'OUT_OF",
            "    message: SLURM-job '4711' failed, SLURM status is: 'OUT_OF_MEMORY'. For further error details see the cluster/cloud log.",
        ),
        wording(
            r"has not produced any output \(state: (?P<reason>OUT_OF_MEMORY)\)",
            r"produced any output \(state: OUT_OF",
            "has not produced any output (state: OUT_OF_MEMORY)",
        ),
    ),
    facts=_FACTS,
    advise=_advise,
)
