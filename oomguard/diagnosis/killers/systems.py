"""Systems of which only their wordings are known: batch systems, clouds, notebooks. One entry for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Fact, Killer, Wording, fact, wording
from oomguard.diagnosis.killers.sizes import ask_for, in_gib
from oomguard.text import as_root
from oomguard.units import MIB

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill


def _system(
    ident: str,
    what: str,
    *wordings: Wording,
    do: tuple[tuple[str, str | None], ...],
    facts: tuple[Fact, ...] = (),
    why: str = "",
    suffix: str = "G",
    small: str = "M",
    killer: str = "",
    linux: bool = True,
) -> Killer:
    """One entry. {size} in `do` is the number to ask for, {mib} the same in MiB, {job} and others are facts of the text."""

    def advise(kill: OtherKill) -> tuple[Advice, ...]:
        size = ask_for(kill)
        words = {
            "job": "JOB", "container": "CONTAINER", "service": "SERVICE", "function": "FUNCTION", "app": "APP", "pool": "POOL",
            "unit": "UNIT", "workflow": "WORKFLOW", "pid": kill.pid or "PID", **kill.facts, "size": in_gib(size, suffix=suffix, small=small),
            "mib": str(size // MIB) if size else "MIB",
        }  # fmt: skip
        return tuple(
            Advice(text=text.format(**words), command=command.format(**words) if command else None)
            for text, command in do
        )

    return Killer(
        ident=ident, what=what, wordings=wordings, facts=facts, advise=advise, why=why, killer=killer, linux=linux
    )


SYSTEMS: tuple[Killer, ...] = (
    _system(
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
    _system(
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
    _system(
        "sge",
        "Grid Engine, at the memory limit of the job",
        wording(
            r"(?:[0-9/]{8,10} [0-9:]{8}\|\s*\w{1,20}\|\S{1,64}\|\w\|)?job (?P<job>[0-9]{1,12})(?:\.[0-9]+)? (?P<reason>exceeds job hard limit \"(?:h_vmem|h_rss|h_data)\".{0,200})",
            "sending SIGKILL",
            '06/20/2026 12:47:02|  main|n7|W|job 4711 exceeds job hard limit "h_vmem" of queue "all.q@n7" (8590983168.00000 > limit:8589934592.00000) - sending SIGKILL',
        ),
        facts=(fact("limit", r"limit:([0-9]+)"), fact("used", r"\(([0-9]+)(?:\.[0-9]+)? > limit")),
        do=(("or ask for more memory", "qsub -l h_vmem={size} JOB.sh"), ("see what it used", "qacct -j {job}")),
    ),
    _system(
        "htcondor",
        "HTCondor, at the memory that the job had asked for",
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
        facts=(
            fact("job", r"\(([0-9]{1,12}\.[0-9]{3})\.[0-9]{3}\)"),
            fact("used", r"usage: ([0-9]{1,12})\b", unit="M"),
        ),
        do=(
            ("or ask for more in the submit file", "request_memory = {mib}"),
            ("see what it asked for and used", "condor_history -l {job} | grep -E 'RequestMemory|MemoryUsage'"),
        ),
    ),
    _system(
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
    _system(
        "ecs",
        "the Linux kernel, at the memory limit of an Amazon ECS (or AWS Batch) container",
        wording(
            r"(?:(?:[{\[\"].{0,3000}?)?\"?(?:stoppedReason|reason|statusReason)\":\s?\")?(?P<reason>OutOfMemory(?:Error)?: Container killed due to memory usage)",
            "OutOfMemoryError: Container killed|OutOfMemory: Container killed",
            "Stopped reason: OutOfMemoryError: Container killed due to memory usage",
        ),
        killer="kernel",
        why="the container reached its memory limit",
        facts=(
            fact("limit_mib", r"\"memory\":\s?\"?([0-9]{2,9})"),
            fact("container", r"\"name\":\s?\"([\w-]{1,120})\"", "before"),
            fact("job", r"\"(?:jobId|taskArn)\":\s?\"([^\"]{1,200})\""),
        ),
        do=(
            (
                "or raise memory of the container (and of the task) in the task definition; for AWS Batch in resourceRequirements",
                "aws ecs describe-task-definition --task-definition TASK --query 'taskDefinition.containerDefinitions[].[name,memory]'",
            ),
        ),
    ),
    _system(
        "cloud-run",
        "Google Cloud Run (or Functions), at the memory limit of the instance",
        wording(
            r"(?:[A-Z]{3,7} [0-9]{3} )?(?P<reason>Memory limit of (?P<limit>[0-9.]+ ?[KMG]i?B?) exceeded with (?P<used>[0-9.]+ ?[KMG]i?B?) used)",
            "Memory limit of [0-9.]+ ?[KMG]",
            "Memory limit of 512 MiB exceeded with 515 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits",
        ),
        wording(
            r"(?P<reason>Function invocation was interrupted\. Error: memory limit exceeded)",
            "Error: memory limit exceeded",
            "Function invocation was interrupted. Error: memory limit exceeded.",
        ),
        wording(
            r"(?P<reason>Exceeded (?:soft|hard) (?:private )?memory limit of (?P<limit>[0-9.]+ ?[KMG]i?B) with (?P<used>[0-9.]+ ?[KMG]i?B))",
            "memory limit of",
            "Exceeded hard memory limit of 512 MiB with 515 MiB after servicing 3 requests total.",
        ),
        facts=(fact("service", r"\"service_name\":\s?\"([\w-]{1,80})\""),),
        suffix="Gi",
        small="Mi",
        do=(("or give each instance more", "gcloud run services update {service} --memory {size}"),),
    ),
    _system(
        "heroku",
        "Heroku, at twice the memory of the dyno",
        wording(
            r"(?P<reason>Error R15 \(Memory quota vastly exceeded\))",
            r"Error R15 \(Memory",
            "2026-03-01T10:00:00.000000+00:00 heroku[worker.1]: Error R15 (Memory quota vastly exceeded)",
        ),
        facts=(
            fact("used", r"Process running mem=([0-9]+[KMG])"),
            fact("app", r"heroku\[([a-z_]+)"),
        ),
        do=(("or take a larger dyno", "heroku ps:resize {app}=performance-l"),),
    ),
    _system(
        "lambda",
        "AWS Lambda, which ended the function",
        wording(
            r"(?:(?:\{.{0,600}?)?\"errorMessage\":\s?\")?(?:RequestId: \S{1,80} )?(?:Error: )?(?P<reason>Runtime exited with error: signal: killed)",
            "Runtime exited with error: signal: killed",
            "RequestId: 8f5 Error: Runtime exited with error: signal: killed",
        ),
        wording(
            r"(?:REPORT RequestId: .{0,300}?\s)?(?P<reason>Error Type: Runtime\.OutOfMemory)",
            r"Runtime\.OutOfMemory",
            "REPORT RequestId: 8f5\tDuration: 2101.06 ms\tMemory Size: 128 MB\tMax Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory",
        ),
        wording(
            r"(?:\{.{0,1000}?)?\"errorType\":\s?\"(?P<reason>Runtime\.OutOfMemory)\"",
            r"Runtime\.OutOfMemory",
            '{"type":"platform.report","record":{"requestId":"8f5","status":"error","errorType":"Runtime.OutOfMemory","metrics":{"memorySizeMB":128,"maxMemoryUsedMB":128}}}',
        ),
        facts=(
            fact("limit", r"\"memorySizeMB\":\s?([0-9]+)", unit="M"),
            fact("used", r"\"maxMemoryUsedMB\":\s?([0-9]+)", unit="M"),
            fact("limit", r"Memory Size: ([0-9]+ MB)"),
            fact("used", r"Max Memory Used: ([0-9]+ MB)"),
            fact("function", r"/aws/lambda/([\w-]{1,80})"),
        ),
        why="the function reached its memory size",
        do=(
            (
                "or give it more (which brings more CPU too)",
                "aws lambda update-function-configuration --function-name {function} --memory-size {mib}",
            ),
        ),
    ),
    _system(
        "vertex",
        "Vertex AI, whose replica ran out of memory",
        wording(
            r"(?P<reason>[Tt]he replica (?P<name>[\w-]{1,64}) ran out[- ]of[- ]memory and exited with a non-zero status of [0-9]+\(SIGKILL\))",
            "memory and exited",
            "The replica workerpool0-0 ran out-of-memory and exited with a non-zero status of 137(SIGKILL).",
        ),
        why="the replica ran out of its machine's memory",
        do=(("or take a machine with more memory: machine_type in the worker pool, for example", "n2-highmem-8"),),
    ),
    _system(
        "colab",
        "Google Colab, whose virtual machine ran out of memory",
        wording(
            r"(?P<reason>Your session crashed after using all available RAM)",
            "session crashed after",
            "Your session crashed after using all available RAM. If you are interested in access to high-RAM runtimes, you may want to check out Colab Pro.",
        ),
        why="the session used all memory of its machine; its kernel's log cannot be read from outside",
        do=(
            ("or take a high-RAM runtime: Runtime, Change runtime type", None),
            ("see what there is, in a cell", "!free -h"),
        ),
    ),
    _system(
        "kaggle",
        "Kaggle, whose notebook ran out of memory",
        wording(
            r"(?P<reason>Your notebook tried to allocate more memory than is available)",
            "allocate more memory than",
            "Your notebook tried to allocate more memory than is available. It has restarted.",
        ),
        why="the notebook used all memory of its machine; its kernel's log cannot be read from outside",
        do=(("see what there is, in a cell", "!free -h"),),
    ),
    _system(
        "huggingface-space",
        "a Space of Hugging Face, at the memory of its hardware",
        wording(
            r"(?:runtime error:? )?(?:Exit code: [0-9]+\. Reason: )?(?P<reason>Memory limit exceeded \((?P<limit>[0-9.]{1,8}[KMGT]i)\))",
            r"Memory limit exceeded \(",
            "Memory limit exceeded (16Gi)",
        ),
        do=(("or take larger hardware: Settings of the Space, Space hardware", None),),
    ),
    _system(
        "render",
        "Render, at the memory of the instance",
        wording(
            r"(?:Instance failed:? \S{0,60}\s?)?(?P<reason>(?:Ran o|O)ut of memory \(used over (?P<limit>[0-9.]{1,8} ?[KMG]i?B?)\))",
            r"Ran out of memory \(used over|Out of memory \(used over",
            "Ran out of memory (used over 512MB) while running your code.",
        ),
        do=(("or take a larger instance type: Settings of the service, Instance Type", None),),
    ),
    _system(
        "fly",
        "the Linux kernel, out of memory in a machine of Fly.io",
        wording(
            r"(?P<reason>Process appears to have been OOM killed)",
            "appears to have been OOM killed",
            "INFO Process appears to have been OOM killed!",
        ),
        killer="kernel",
        why="the machine's memory was full",
        do=(("or give the machine more (in MB)", "fly scale memory {mib}"),),
    ),
    _system(
        "glue",
        "AWS Glue, whose worker ran out of memory",
        wording(
            r"(?P<reason>Command [Ff]ailed due to [Oo]ut of [Mm]emory)",
            "Command Failed due to Out of|Command failed due to Out of|Command failed due to out of",
            "Command Failed due to Out of Memory",
        ),
        do=(("or take larger workers: Worker type G.2X or more, in the job's details", None),),
    ),
    _system(
        "nomad",
        "the Linux kernel, at the memory limit of a Nomad task",
        wording(
            r"(?:Terminated\s+)?Exit Code: 137, Exit Message: \"(?P<reason>OOM Killed)\"",
            'Exit Message: "OOM Killed',
            'Terminated  Exit Code: 137, Exit Message: "OOM Killed"',
        ),
        killer="kernel",
        why="the task reached its memory limit",
        do=(("or raise resources.memory of the task (in MB)", "nomad job plan JOB.nomad.hcl"),),
    ),
    _system(
        "macos",
        "macOS, which ends processes when memory and swap run out (jetsam)",
        wording(
            r"(?:[0-9][^#'\"]{0,120}?kernel: )?(?:\([^)]{1,60}\) )?(?P<reason>(?:memorystatus: |low swap: )killing (?:largest compressed process|top process|largest process|idle process|due to .{1,40}?))(?: with pid)?,? ?(?:(?P<pid>[0-9]{1,10}) [\[(](?P<name>[^\])]{1,64})[\])]|(?P<name2>\S{1,64}) \[(?P<pid2>[0-9]{1,10})\])",
            "killing (?:largest|top|idle|due to)",
            "low swap: killing largest compressed process with pid 4123 (python3.11) and size 24576 MB",
        ),
        wording(
            r"(?:[0-9][^#'\"]{0,120}?kernel: )?(?:\([^)]{1,60}\) )?memorystatus: killing_(?P<reason>\w{1,60}) (?:process |pid )?(?P<pid>[0-9]{1,10}) \[(?P<name>[^\]]{1,64})\]",
            "memorystatus: killing_",
            "memorystatus: killing_highwater_process pid 4123 [python3.11] (highwater 100) 1234KB",
        ),
        wording(
            r"(?:exited due to SIGKILL[,| ]+(?:sent by \S{1,60} )?)?(?P<reason>JETSAM_REASON_MEMORY_\w{1,40})",
            "JETSAM_REASON_MEMORY_",
            "exited due to SIGKILL, JETSAM_REASON_MEMORY_PERPROCESSLIMIT",
        ),
        why="memory and swap ran out",
        linux=False,
        do=(
            ("see what holds memory, in Activity Monitor or", "memory_pressure; top -o mem -l 1 | head -20"),
            ("read its report", "ls -t /Library/Logs/DiagnosticReports/JetsamEvent-*.ips | head -1"),
        ),
    ),
    _system(
        "freebsd",
        "the FreeBSD kernel, for lack of memory",
        wording(
            r"(?:kernel: )?pid (?P<pid>[0-9]{1,10}) \((?P<name>.{1,64}?)\),(?: jid [0-9]+,)? uid [0-9]+,? was killed: (?P<reason>failed to reclaim memory|out of swap space|a thread waited too long to allocate a page)",
            r"was killed: (?:failed to reclaim|out of swap|a thread waited)",
            "pid 4123 (python3.11), jid 0, uid 1001, was killed: failed to reclaim memory",
        ),
        linux=False,
        do=(
            ("or add swap, on FreeBSD", "swapctl -l; truncate -s 8g /usr/swap0 && chmod 0600 /usr/swap0"),
            ("or protect the process, on FreeBSD", "protect -p {pid}"),
        ),
    ),
    _system(
        "systemd",
        "the Linux kernel, out of memory (systemd says so of its unit)",
        wording(
            r"Active: failed \((?P<reason>Result: oom-kill)\)",
            r"Result: oom-kill\)",
            "     Active: failed (Result: oom-kill) since Sun 2026-03-01 10:00:00 UTC; 5min ago",
        ),
        wording(r"(?P<reason>Result=oom-kill)\s*$", "Result=oom-kill", "Result=oom-kill"),
        killer="kernel",
        why="a process of the unit was killed for lack of memory, at the unit's limit or the machine's: the kernel's log tells which",
        facts=(
            fact("unit", r"^\W{0,6}\s*([\w@.\\:-]{1,200}\.(?:service|scope|slice))(?: - |$)", "before"),
            fact("unit", r"^Id=(\S{1,200})$"),
            fact("pid_inside", r"Main PID: ([0-9]{1,10})"),
            fact("finished", r"oom-kill\) since ([^;]{5,60});"),
            fact("limit", r"Memory: .{0,80}?\(max: ([0-9.]+[KMGT])"),
            fact("used", r"(?:Mem peak|Memory: .{0,80}?peak): ([0-9.]+[KMGT])"),
        ),
        do=(
            ("see its limit and its peak", "systemctl show {unit} -p Result,MemoryMax,MemoryPeak,OOMPolicy"),
            ("read the kernel's report", "journalctl -k | oomguard diagnose -"),
        ),
    ),
    _system(
        "memory.events",
        "the Linux kernel, out of memory (by its counter oom_kill)",
        wording(
            r"oom_kill (?P<count>[1-9][0-9]{0,9})\s*$",
            "oom_kill [1-9]",
            "oom_kill 2",
        ),
        killer="kernel",
        why="the kernel counts the processes that it killed in that cgroup (in /proc/vmstat: on the whole machine)",
        facts=(
            fact("limit_hits", r"^(?:max|oom) ([0-9]+)$"),
            fact("limit", r"^(?:memory\.max|limit_in_bytes)[:= ]+([0-9]{5,16})$"),
        ),
        do=(("read the kernel's log, which names what died and why", as_root("diagnose")),),
    ),
)
