"""A job as a Slurm array over its units, and a second job that lays out the shards when the array has ended."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.errors import BadInput, WorkerFailed
from oomguard.preparation.cluster.job_place import absolute
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.preparation.cluster.job_file import JobFile

_USUAL_ELEMENTS = 64
_USUAL_MOST = 1001  # MaxArraySize where Slurm's configuration does not say: slurm.conf(5)
_OVERHEAD = 64 * MIB  # of an allocation: slurmstepd, the shell, and the supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmOptions:
    """How to run on Slurm. `max_rss` in bytes, of one element."""

    max_rss: int
    workers: int = 1
    elements: int | None = None
    arguments: tuple[str, ...] = ()  # for sbatch, both times


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmJob:
    """What was handed to Slurm."""

    array: str
    shards: str | None  # the array that writes shards; None: `finish` does so alone
    finish: str
    elements: int


def sbatch_commands(job: JobFile, path: Path, options: SlurmOptions, *, most: int = _USUAL_MOST) -> list[list[str]]:
    """Give the commands: units, shards where these are worth an array, and what notes them.

    ARRAY stands for the number that the command before prints.
    """
    units = max(1, len(job.missing()))
    elements = min(options.elements or _USUAL_ELEMENTS, units, most)
    memory = -(-(options.max_rss + _OVERHEAD) // MIB)
    logs = logs_folder(job)
    name, log = f"oomguard-{job.sha256[:8]}", str(logs / "slurm-%A_%a.log")
    us = [sys.executable, "-P", "-m", "oomguard"]
    budget = ["--max-rss", f"{options.max_rss // MIB}M"]
    work = [*us, "work", absolute(path), "--workers", str(options.workers), *budget, "--quiet"]
    share = f'--share "$SLURM_ARRAY_TASK_ID/{elements}"'
    common = ["sbatch", "--parsable", f"--job-name={name}", f"--mem={memory}M", *options.arguments]
    finish = [*us, "finish", absolute(path), *budget]
    shares = job.shares(min(options.elements or _USUAL_ELEMENTS, most))
    part = f'--part "$SLURM_ARRAY_TASK_ID/{shares}"'
    shards = [
        *common, "--dependency=afterany:ARRAY", f"--array=0-{shares - 1}",
        f"--output={logs / 'slurm-shards-%A_%a.log'}", f"--wrap={shlex.join(finish)} {part}",
    ]  # fmt: skip
    return [
        [
            *common, f"--array=0-{elements - 1}", f"--cpus-per-task={options.workers}", f"--output={log}",
            f"--wrap={shlex.join(work)} {share}",
        ],
        *([shards] if shares > 1 else []),
        [
            *common, "--dependency=afterany:ARRAY", f"--output={logs / 'slurm-finish-%j.log'}",
            f"--wrap={shlex.join(finish)}",
        ],
    ]  # fmt: skip


def logs_folder(job: JobFile) -> Path:
    """Where Slurm writes what its jobs say: beside the parts, or where these are in a bucket, here."""
    return Path.cwd() if job.is_in_store else Path(job.parts)


def submit(job: JobFile, path: Path, options: SlurmOptions) -> SlurmJob:
    """Hand them to Slurm. Raises: BadInput without sbatch; WorkerFailed if Slurm refuses."""
    commands = sbatch_commands(job, path, options, most=_max_array_size())
    numbers: list[str] = []
    for command in commands:
        after = f"afterany:{numbers[-1]}" if numbers else ""
        numbers.append(_sbatch([part.replace("afterany:ARRAY", after) for part in command]))
    elements = next(int(part.rpartition("-")[2]) + 1 for part in commands[0] if part.startswith("--array="))
    shards = numbers[1] if len(numbers) > 2 else None
    return SlurmJob(array=numbers[0], shards=shards, finish=numbers[-1], elements=elements)


def _sbatch(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    except FileNotFoundError as error:
        raise BadInput(
            "sbatch was not found", do="--print-sbatch shows what to run where Slurm is; or --cluster ray"
        ) from error
    number = done.stdout.strip().partition(";")[0]  # behind it stands the cluster's name
    if done.returncode or not number.isdigit():
        raise WorkerFailed(f"sbatch refused: {done.stderr.strip()[:500]}", do="pass what it asks for with --slurm-args")
    return number


def _max_array_size() -> int:
    try:
        done = subprocess.run(
            ["scontrol", "show", "config"], capture_output=True, text=True, errors="replace", check=False
        )
    except OSError:
        return _USUAL_MOST
    found = re.search(r"^MaxArraySize\s*=\s*([0-9]{1,9})\s*$", done.stdout, re.MULTILINE)
    return max(1, int(found[1])) if found else _USUAL_MOST


def allocated_memory() -> int | None:
    """Bytes that Slurm gave the job that this process is in; None: it is in none, or has no limit.

    Source: sbatch(1), "output environment variables": SLURM_MEM_PER_NODE and SLURM_MEM_PER_CPU, in MiB.
    """
    node, cpu = os.environ.get("SLURM_MEM_PER_NODE", ""), os.environ.get("SLURM_MEM_PER_CPU", "")
    cpus = os.environ.get("SLURM_CPUS_ON_NODE", "")
    if re.fullmatch(r"[1-9][0-9]{0,9}", node):
        return int(node) * MIB
    if re.fullmatch(r"[1-9][0-9]{0,9}", cpu) and re.fullmatch(r"[1-9][0-9]{0,5}", cpus):
        return int(cpu) * int(cpus) * MIB
    return None


def usual_task_budget() -> str | None:
    """What a task may take of Slurm's allocation, as --max-rss has it; None: this is no job of Slurm's."""
    allocated = allocated_memory()
    return None if allocated is None else f"{max(allocated - _OVERHEAD, allocated // 2) // MIB}M"
