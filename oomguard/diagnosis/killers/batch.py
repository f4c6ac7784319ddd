"""Batch systems and clusters of which only their wordings are known. One entry for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.base import Killer, fact, system, wording
from oomguard.diagnosis.model import Advice

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _advise_dask(_kill: OtherKill) -> tuple[Advice, ...]:
    return (
        Advice(
            text="or fewer threads for each worker, more memory for each, smaller partitions",
            command="dask worker --nthreads 1 --memory-limit SIZE ADDRESS",
        ),
    )


BATCH: tuple[Killer, ...] = (
    # Source: distributed/nanny.py up to 2022, distributed/worker_memory.py since.
    Killer(
        ident="dask",
        what="Dask's nanny",
        habit="it restarts a worker that exceeds its memory limit",
        in_logs=True,
        wordings=(
            wording(
                r"(?:distributed\.\S{1,60} - WARNING - |- )?Worker (?P<name>\S{1,200}) (?:\(pid[ =](?P<pid>[0-9]{1,10})\) )?exceeded (?P<reason>[0-9]{1,3}% memory budget)[.,]\s{0,4}[Rr]estarting",
                "% memory budget",
                "distributed.nanny.memory - WARNING - Worker tcp://10.0.0.4:34937 (pid=129) exceeded 95% memory budget. Restarting...",
            ),
            wording(
                r"(?:distributed\.\S{1,60} - WARNING - |- )?Worker exceeded (?P<reason>[0-9]{1,3}% memory budget)[.,]\s{0,4}[Rr]estarting",
                "% memory budget",
                "distributed.nanny - WARNING - Worker exceeded 95% memory budget.  Restarting",
            ),
        ),
        advise=_advise_dask,
    ),
    system(
        "lsf",
        "LSF, at the memory limit of the job",
        wording(
            r"(?:[^#'\"]{0,120}?(?:Completed|Exited) <exit>;\s)?(?P<reason>TERM_MEMLIMIT: job killed after reaching LSF memory usage limit)",
            "memory usage limit",
            "TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.",
        ),
        facts=(
            fact("job", r"[Jj]ob (?:ID )?<?([0-9]{1,12}(?:\[[0-9]+\])?)[>:]"),
            fact("used", r"Max Memory\s*:\s*([0-9.]+ [KMGT]?[Bb]?\w*)"),
            fact("limit", r"Total Requested Memory\s*:\s*([0-9.]+ [KMGT]?[Bb]?\w*)"),
        ),
        do=(
            ("or ask for more memory", "bsub -M {size} -R 'rusage[mem={size}]' ./JOB.sh"),
            ("see what the job had and used", "bjobs -l {job}; bhist -l {job}"),
        ),
    ),
    system(
        "pbs",
        "PBS, at the memory limit of the job",
        wording(
            r"(?:=>> )?(?:PBS: )?(?P<reason>job killed: (?:mem|vmem|pmem|pvmem) (?P<used>[0-9]{1,15}(?:[kmgt]?b)?) exceeded limit (?P<limit>[0-9]{1,15}(?:[kmgt]?b)?))",
            "job killed: p?v?mem",
            "=>> PBS: job killed: mem 8405120kb exceeded limit 8388608kb",
        ),
        wording(
            r"(?:[\w.;@\[\]-]{1,80}\s){0,2}(?P<reason>Cgroup mem(?:ory|sw)? limit exceeded)",
            "Cgroup mem",
            "11042.pbs Cgroup mem limit exceeded: oom-kill",
        ),
        wording(
            r"Job (?P<job>[0-9]{1,12}(?:\[[0-9]*\])?(?:\.[\w.-]{1,80})?) (?P<reason>has exceeded memory allocation on node (?P<node>\S{1,120}))",
            "has exceeded memory allocation on node",
            "Job 4711.pbs has exceeded memory allocation on node n7",
        ),
        wording(
            r"(?:=>> )?(?:PBS: )?(?P<reason>job killed: (?:mem|vmem|pmem|pvmem) job total (?P<used>[0-9]{1,15} ?(?:[kmgt]?b)?) exceeded limit (?P<limit>[0-9]{1,15} ?(?:[kmgt]?b)?))",
            "job killed: p?v?mem",
            "=>> PBS: job killed: mem job total 33556000 kb exceeded limit 33554432 kb",
        ),
        facts=(
            fact("used", r"Process \".{1,80}?\", pid [0-9]+, rss ([0-9]{5,16})\b", "after"),
            fact("pid_inside", r"Process \".{1,80}?\", pid ([0-9]{1,10}), rss", "after"),
            fact("job", r"(?:[Jj]ob(?: [Ii][Dd])?:? )([0-9]{1,12}(?:\[[0-9]*\])?(?:\.[\w.-]+)?)"),
        ),
        suffix="gb",
        small="mb",
        do=(
            ("or ask for more memory", "qsub -l select=1:mem={size} JOB.sh"),
            ("see what the job had and used", "qstat -xf {job} | grep -E 'mem|Exit_status'"),
        ),
    ),
    system(
        "sge",
        "Grid Engine, at the memory limit of the job",
        wording(
            r"(?:[0-9/]{8,10} [0-9:]{8}\|\s*\w{1,20}\|\S{1,64}\|\w\|)?job (?P<job>[0-9]{1,12})(?:\.[0-9]+)? (?P<reason>(?:exceeds|exceeded) (?:job |job master )?hard limit \"(?:h_vmem|h_rss|h_data)\".{0,200})",
            "sending SIGKILL",
            '06/20/2026 12:47:02|  main|n7|W|job 4711 exceeds job hard limit "h_vmem" of queue "all.q@n7" (8590983168.00000 > limit:8589934592.00000) - sending SIGKILL',
        ),
        facts=(fact("limit", r"limit:([0-9]+)"), fact("used", r"\(([0-9]+)(?:\.[0-9]+)? > limit")),
        do=(("or ask for more memory", "qsub -l h_vmem={size} JOB.sh"), ("see what it used", "qacct -j {job}")),
    ),
    system(
        "htcondor",
        "HTCondor, because the job exceeded the memory it requested",
        wording(
            r"(?:(?P<job>[0-9]{1,12}\.[0-9]{1,9})\s+\S{1,64}\s+[0-9/]{3,10}\s+[0-9:]{4,8}\s+)?(?:Error from \S{1,80}: )?(?P<reason>(?:Docker )?[Jj]ob has gone over (?:cgroup )?memory limit of (?P<limit>[0-9]{1,12} (?:megabytes|M[bB]))\.?(?: (?:Last measured|Peak) usage: [0-9]{1,12})?)",
            "memory limit of",
            "Error from slot1_3@n12: Job has gone over cgroup memory limit of 2048 megabytes. Last measured usage: 2041 megabytes.  Consider resubmitting with a higher request_memory.",
        ),
        wording(
            r"(?P<reason>memory usage exceeded request_memory)",
            "memory usage exceeded request_memory",
            "memory usage exceeded request_memory",
        ),
        wording(
            r"(?:\w{1,40} )?Job killed by HTCondor due to (?P<reason>excessive memory use(?: \(RSS=(?P<used>[0-9]{1,12} [KMG]B)\))?)",
            "HTCondor due to excessive memory",
            "ERROR:RetryJob Job killed by HTCondor due to excessive memory use (RSS=2250 MB). Will not retry it.",
        ),
        facts=(
            fact("job", r"\(([0-9]{1,12}\.[0-9]{3})\.[0-9]{3}\)"),
            fact("used", r"usage: ([0-9]{1,12})\b", unit="M"),
        ),
        do=(
            ("or ask for more in the submit file", "request_memory = {mib}"),
            ("see what it asked for and used", "condor_history -l {job} | grep -E 'RequestMemory|MemoryUsage'"),
        ),
    ),
    system(
        "yarn",
        "YARN, at the memory limit of the container",
        wording(
            r"(?:.{0,300}?(?:Diagnostics|message|due to)\s?: )?Container \[[^\]]{1,300}\] is (?P<reason>running (?:[0-9]+B )?beyond (?:the )?'?(?:physical|virtual|PHYSICAL|VIRTUAL)'? memory limits?\. Current usage: (?P<used>[0-9.]+ [KMGT]?B) of (?P<limit>[0-9.]+ [KMGT]?B))",
            "memory limit",
            "Container [pid=4210,containerID=container_1_0001_01_000002] is running beyond physical memory limits. Current usage: 9.8 GB of 9.8 GB physical memory used; 11.1 GB of 20.6 GB virtual memory used. Killing container.",
        ),
        wording(
            r"(?:(?:ExecutorLostFailure|Lost executor|Container marked|Application)[^#]{0,300}?(?:Reason|Diagnostics|on \S{1,80}): )?(?P<reason>Container killed by YARN for exceeding (?:physical |virtual )?memory limits?\.?\s{1,4}(?P<used>[0-9.]+ [KMGT]?B) of (?P<limit>[0-9.]+ [KMGT]?B))",
            "Container killed by YARN for exceeding",
            "ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Container killed by YARN for exceeding physical memory limits. 9.8 GB of 9.8 GB physical memory used.",
        ),
        facts=(
            fact("container", r"\b(container_[\w]{6,80})"),
            fact("pid_inside", r"\[pid=([0-9]{1,10})"),
            fact("job", r"\b(application_[0-9]{1,20}_[0-9]{1,12})"),
        ),
        small="m",
        suffix="g",
        do=(
            (
                "or ask for more: Spark's overhead counts too",
                "spark-submit --executor-memory {size} --conf spark.executor.memoryOverhead=2g APP",
            ),
            ("see the container's own log", "yarn logs -applicationId {job}"),
        ),
    ),
    system(
        "flux",
        "Flux, at the memory limit of the job (the kernel killed, Flux reports it)",
        wording(
            r"(?:[0-9.]{1,12}s: )?(?:flux-shell\[[0-9]{1,9}\]: )?(?:ERROR: )?oom: (?P<reason>Memory cgroup out of memory: killed (?P<count>[1-9][0-9]{0,8}) tasks?)(?: on (?P<node>[\w-]{1,64}))?",
            "oom: Memory cgroup out of memory: killed",
            "29.475s: flux-shell[0]: ERROR: oom: Memory cgroup out of memory: killed 1 task on n7.",
        ),
        killer="kernel",
        facts=(fact("used", r"oom: memory\.peak = ([0-9.]{1,14}[KMGT])", "after"),),
        do=(
            (
                "or have its queue allow more: MemoryMax in the system's exec configuration",
                "flux config get exec.sdexec-properties",
            ),
        ),
    ),
    system(
        "galaxy",
        "Galaxy, at the memory limit of the job",
        wording(
            r"(?P<reason>This job was terminated because it used more memory than it was allocated)",
            "it used more memory than it was allocated",
            "This job was terminated because it used more memory than it was allocated.",
        ),
        do=(
            (
                "or ask for more memory in the job's resource parameters, or ask the administrator to give the tool more",
                None,
            ),
        ),
    ),
    system(
        "mesos",
        "Mesos, at the memory limit of the container",
        wording(
            r"(?P<reason>Memory limit exceeded: Requested: (?P<limit>[0-9.]{1,12}[KMGT]?B) Maximum Used: (?P<used>[0-9.]{1,12}[KMGT]?B))",
            "Memory limit exceeded: Requested: ",
            "Memory limit exceeded: Requested: 160MB Maximum Used: 160MB",
        ),
        killer="kernel",
        do=(("or ask for more: mem of the task (in MB)", "{mib}"),),
    ),
)
