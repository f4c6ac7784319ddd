"""Logs and messages as people paste them, and what the answer must be: read by hand in each of tests/captures/pasted/."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from oomguard.diagnosis.api import diagnose

if TYPE_CHECKING:
    from oomguard.diagnosis.result import Diagnosis

PASTED = Path(__file__).parents[1] / "captures/pasted"


@dataclass(frozen=True)
class Right:
    """The right answer. `says` and `not_says` are words of the screen, whatever its line breaks."""

    verdict: str = "proved"
    killer: str | None = "kernel"
    pids: list[int] = field(default_factory=list)  # of victims, or of what a program killed
    found: int = 1
    cause: str | None = None
    filler: str | None = None
    says: tuple[str, ...] = ()
    not_says: tuple[str, ...] = ()


NOTHING = Right(verdict="none", killer=None, found=0)
PREP: dict[str, Any] = {"pids": [4210], "cause": "memcg"}
JOB = "/user.slice/job.scope"

ANSWERS: dict[str, Right] = {
    "m01": Right(pids=[811], cause="exhaustion", filler="anon", says=("938 MiB of 984 MiB",), not_says=("driver", "leak")),
    "m02": Right(pids=[4012], cause="exhaustion", filler="anon", says=("1.9 GiB of 2.0 GiB", "all 2.0 GiB of swap was full")),
    "m03": Right(pids=[305], cause="memcg", says=("/jobs/a7", "1 min 58 s")),
    "m04": Right(pids=[1324], cause="memcg", says=("the cgroup /jobs",), not_says=("another program",)),
    "m05": Right(pids=[58406], cause="memcg", filler="anon", says=("15.1 GiB of 16.0 GiB", "memory.limit_in_bytes"), not_says=("The processes are not", "many open files")),
    "m06": Right("likely", cause="memcg", says=("dd had asked for memory",)),
    "m08": Right(cause="exhaustion", says=("panic",)),
    "m09": Right(cause="exhaustion", says=("the whole machine", "panic")),
    "m10": Right(cause="manual", says=("SysRq", "panic"), not_says=("ran out of memory",)),
    "m11": Right("likely", cause="manual", says=("SysRq",)),
    "m12": Right(killer="earlyoom", pids=[27541], says=("eater (pid 27541), holding 7.4 GiB",)),
    "m13": Right(pids=[27541], cause="exhaustion", says=("earlyoom had asked it to end",), not_says=("killed nothing",)),
    "m14": Right("likely", cause="exhaustion", says=("java (pid 7134) was chosen",)),
    "m16": Right(pids=[1402], cause="exhaustion", filler=None, says=("Apr 12 18:29:48 2021", "no single part held half")),
    "m17": Right(pids=[96054], cause="exhaustion", filler="anon", says=("zswap", "max_pool_percent"), not_says=("zram", "table of processes is empty")),
    "m18": NOTHING,
    "m19": NOTHING,
    "m21": NOTHING,
    "m22": NOTHING,
    "m24": Right(killer="slurm", says=("job 118231", "sacct -j 118231")),
    "m25": Right(killer="dask", pids=[129], says=("95% memory budget",)),
    "m26": Right(killer="ray", says=("1 Workers", "10.0.0.9")),
    "m27": Right(killer="slurm", says=("node n7", "Out Of Memory")),
    "m28": Right(killer="earlyoom", pids=[12006], says=("prep (pid 12006), holding 2.8 GiB",)),
    "m29": Right(killer="dask", says=("95% memory budget",)),
    "m30": Right(killer="slurm", says=("job 4", "node n7")),
    "m32": Right(killer="kernel", pids=[470521], says=("stress (pid 470521)", "node itself"), not_says=("container reached",)),
    "m33": Right(killer="lmkd", pids=[17933], says=("com.x.y (pid 17933), holding 137 MiB", "10-24 14:24:26", "why        device is not responding")),
    "m34": Right(killer="systemd-oomd", says=("vte-spawn-dbb4a75e-031f-480d-924b-5de5af7579d2.scope", "51.07% > 50.00%")),
    "m35": Right(killer="nohang", pids=[300], says=("MemAvailable [16 MiB, 3.6 %]",)),
    "m36": Right(killer="slurm", says=("job 4711",)),
    "m38": Right(killer="slurm", says=("job 4711", "2026-01-02T10:00:00.123")),
    "m39": Right(killer="slurm", says=("job 4711",)),
    "m40": Right(killer="slurm", says=("job 4711",)),
    "m42": NOTHING,
    "m43": NOTHING,
    "m44": NOTHING,
    "m45": NOTHING,
    "m46": Right(verdict="none", killer=None, found=0, says=("SIGKILL",), not_says=("proved",)),
    "m47": Right(killer="freebsd", pids=[4124, 4123], found=2, says=("python3.11 (pid 4124)", "FreeBSD")),
    "m49": Right(cause="exhaustion", says=("no process left", "panic"), not_says=("what died  nothing",)),
    "m50": Right(pids=[1036073], cause="exhaustion", says=("eater 216 GiB",)),
    "m51": Right(pids=[2737], cause="exhaustion", says=("eater 781 MiB",), not_says=("table of processes is missing",)),
    "m52": Right(**PREP, says=("podman container 5954f621c17f", "podman update --memory SIZE"), not_says=("docker",)),
    "m53": Right(**PREP, says=("of pod 7f3c2a10-1b2c", "grep 7f3c2a10-1b2c-4d5e-8f90-112233445566")),
    "m54": Right(**PREP, says=("HTCondor", "request_memory")),
    "m55": Right(**PREP, says=("Amazon ECS task", "task definition"), not_says=("docker update",)),
    "m56": Right(**PREP, says=("VM 100 of Proxmox", "qm set 100 --memory"), not_says=("systemd-run",)),
    "m57": Right(**PREP, says=("PBS job 11042", "qsub -l select=1:mem="), not_says=("systemctl",)),
    "m58": Right(killer="slurm", says=("job 4711", "10:00:00,123:"), not_says=("INFO",)),
    "m59": Right(**PREP, filler="anon", says=("job.scope", "2.0 GiB")),
    "m60": Right(**PREP, filler="anon", says=("job.scope", "prep 2.0 GiB (98%)")),
    "m63": Right(**PREP, filler="anon", says=("job.scope", "prep 2.0 GiB (98%)")),
    "m64": Right(**PREP, filler="anon", says=("job.scope", "prep 2.0 GiB (98%)")),
    "m65": Right(pids=[310], cause="exhaustion", says=("eater (pid 4210, 30.1 GiB) held more", "vm.oom_kill_allocating_task=0"), not_says=("nothing else was left",)),
    "m66": Right(**PREP, filler="anon", says=("job.scope",)),
    "m67": Right(**PREP, filler="anon", says=("job.scope", "prep 2.0 GiB (98%)")),
    "m68": Right(pids=[4100], cause="exhaustion", says=("12 x worker 14.7 GiB",), not_says=("table of processes is missing",)),
    "m70": Right(pids=[26], cause="memcg", filler="anon", says=("63.8 MiB of its own", "memory.limit_in_bytes"), not_says=("memory.max", "69.5 MiB")),
    "m72": Right(killer="ray", says=("Leaker.run", "10.0.0.2")),
    "m73": Right("likely", cause="unknown", says=("100.scope", "Feb 09 04:13:22", "CPU 1/KVM")),
    "m74": Right(pids=[28600], cause="exhaustion"),
}  # fmt: skip


def victims(answer: Diagnosis) -> list[int]:
    found = [victim.pid for explained in answer.events for victim in explained.event.victims]
    return found + [kill.pid for kill in answer.others if kill.pid is not None]


@pytest.mark.parametrize("name", sorted(path.name for path in PASTED.iterdir()))
def test_what_is_pasted_is_understood(name: str) -> None:
    right = ANSWERS[name[:3]]
    answer = diagnose(PASTED / name)
    screen = " ".join(str(answer.render()).split())
    seen = (answer.verdict, answer.killer, victims(answer), answer.found, answer.cause)
    assert seen == (right.verdict, right.killer, right.pids, right.found, right.cause)
    if right.filler is not None:
        assert answer.main is not None
        assert answer.main.cause.filler == right.filler
    assert [words for words in right.says if " ".join(words.split()) not in screen] == []
    assert [words for words in right.not_says if words in screen] == []


def test_page_tables_in_bytes_are_not_taken_for_kib() -> None:
    """Linux 5.4 prints bytes and writes kB: 9.8 GiB of page tables for a process of 4.8 GiB cannot be."""
    answer = diagnose(PASTED / "m74_pgtables_5.4.log")
    assert answer.main is not None
    assert answer.main.event.victims[0].pgtables == 10305536


def test_the_same_cgroup_in_every_rendering() -> None:
    for name in ("m59", "m60", "m63", "m64", "m66", "m67"):
        (path,) = PASTED.glob(f"{name}_*")
        answer = diagnose(path)
        assert answer.main is not None
        assert answer.main.event.oom_memcg == JOB, name


def test_the_numbers_of_a_chosen_victim_are_found_by_name() -> None:
    """The oom-kill: line alone names the process."""
    log = PASTED / "m14_oomkill_line_alone.log"
    assert diagnose(log, name="java").verdict == "likely"
    assert diagnose(log, pid=7134).verdict == "likely"
    assert diagnose(log, name="other").verdict == "none"


def test_several_files_and_a_folder_give_the_newest_kill_first(tmp_path: Path) -> None:
    line = "2026-03-0{day}T10:00:00+00:00 h kernel: Out of memory: Killed process {day} (job) total-vm:9kB, anon-rss:8kB, file-rss:0kB\n"
    paths = []
    for day in (3, 5, 4):
        path = tmp_path / "logs" / f"kern.{day}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text(line.format(day=day))
        paths.append(path)
    for answer in (diagnose(paths), diagnose(tmp_path / "logs"), diagnose([str(path) for path in reversed(paths)])):
        assert victims(answer) == [5, 4, 3]
        assert answer.found == 3
