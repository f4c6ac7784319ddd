"""Messages about a SIGKILL, or a sudden end, whose sender and reason the text does not name. One entry for each."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from oomguard.diagnosis.causes.model import Advice
from oomguard.diagnosis.killers.base import Fact, Killer, Wording, fact, wording

if TYPE_CHECKING:
    from oomguard.formats.kernel_log import OtherKill

_PIDS = r"(?P<pid>[0-9]{1,10})"


def _entry(
    ident: str,
    what: str,
    *wordings: Wording,
    do: tuple[tuple[str, str | None], ...] = (),
    facts: tuple[Fact, ...] = (),
    why: str = "",
) -> Killer:
    def advise(kill: OtherKill) -> tuple[Advice, ...]:
        unit = shlex.quote(kill.name or "UNIT")
        return tuple(Advice(text=text, command=command and command.replace("UNIT", unit)) for text, command in do)

    return Killer(ident=ident, what=what, wordings=wordings, says="sigkill", facts=facts, advise=advise, why=why)


_FEWER = "a worker gets its own copy of each page of its parent's objects that it touches (copy-on-write)"
_RUNNER = "GitHub's standard runners have 7 or 16 GB, GitLab's small one 8 GB; a larger runner, or fewer jobs at once"

MESSAGES: tuple[Killer, ...] = (
    _entry(
        "dataloader",
        "a worker of PyTorch's DataLoader",
        wording(
            rf"(?:RuntimeError: )?DataLoader worker \(pid(?:\(s\))? {_PIDS}[0-9, ]{{0,200}}\) (?:is killed by signal: Killed|exited unexpectedly)",
            r"DataLoader worker \(pid",
            "RuntimeError: DataLoader worker (pid 1817) is killed by signal: Killed. ",
        ),
        do=(
            (
                f"fewer workers, each with less: {_FEWER}",
                "DataLoader(..., num_workers=2, prefetch_factor=2, persistent_workers=True)",
            ),
            (
                "keep the data set in arrays (numpy, Arrow), not in Python lists and dicts: reading a list copies it",
                None,
            ),
        ),
    ),
    _entry(
        "torchrun",
        "a process that torchrun, accelerate or deepspeed had started",
        wording(
            rf"(?:failed|exitcode)\s*[:(]\s*(?:exitcode: )?-9\)?.{{0,80}}?\(?pid: {_PIDS}\)",
            r"exitcode\s{0,6}: -9",
            "failed (exitcode: -9) local_rank: 0 (pid: 4711) of binary: /usr/bin/python3",
        ),
        wording(
            rf"(?:traceback\s*: )?Signal 9 \(SIGKILL\) received by PID {_PIDS}",
            r"Signal 9 \(SIGKILL\) received",
            "traceback : Signal 9 (SIGKILL) received by PID 4711",
        ),
        wording(
            r"(?:.{0,120}?\s)?exits with return code = -9",
            "exits with return code = -9",
            "[2026-03-01 10:00:00,123] [ERROR] [launch.py:321:sigkill_handler] ['/usr/bin/python3', 'train.py'] exits with return code = -9",
        ),
        wording(
            r"(?:torch\.multiprocessing\.spawn\.)?ProcessExitedException: process [0-9]+ terminated with signal SIGKILL",
            "terminated with signal SIGKILL",
            "torch.multiprocessing.spawn.ProcessExitedException: process 0 terminated with signal SIGKILL",
        ),
        do=(
            (
                "each rank loads its own copy of model and data: load with low_cpu_mem_usage=True, or from rank 0 only",
                None,
            ),
        ),
    ),
    _entry(
        "pool",
        "a worker of a Python process pool",
        wording(
            r"(?:concurrent\.futures\.process\.)?BrokenProcessPool: A (?:child )?process in the process pool (?:was )?terminated abruptly",
            "terminated abruptly",
            "concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly while the future was running or pending.",
        ),
        wording(
            r"(?:joblib\.externals\.)?(?:loky\.\S{0,60})?TerminatedWorkerError: A worker process managed by the executor was unexpectedly terminated",
            "TerminatedWorkerError",
            "joblib.externals.loky.process_executor.TerminatedWorkerError: A worker process managed by the executor was unexpectedly terminated. The exit codes of the workers are {SIGKILL(-9)}",
        ),
        do=((f"fewer workers: {_FEWER}", "ProcessPoolExecutor(max_workers=2)"),),
    ),
    _entry(
        "datasets",
        "a worker of Hugging Face's datasets",
        wording(
            r"(?:RuntimeError: )?One of the subprocesses has abruptly died during map operation",
            "has abruptly died",
            "RuntimeError: One of the subprocesses has abruptly died during map operation.To debug the error, disable multiprocessing.",
        ),
        do=(
            (
                "fewer workers and smaller batches: each worker of map was seen to hold about 680 MB",
                "ds.map(f, num_proc=2, batch_size=100, writer_batch_size=100)",
            ),
        ),
    ),
    _entry(
        "celery",
        "a worker of Celery",
        wording(
            rf"Process '(?P<name>[^']{{1,80}})' pid:{_PIDS} exited with 'signal 9 \(SIGKILL\)'",
            "exited with 'signal 9",
            "[2026-03-01 10:00:00,123: ERROR/MainProcess] Process 'ForkPoolWorker-1' pid:4711 exited with 'signal 9 (SIGKILL)'",
        ),
        wording(
            r"(?:.{0,200}?\s)?(?:WorkerLostError\(?['\"]?:? ?['\"]?)?Worker exited prematurely: signal 9 \(SIGKILL\)",
            r"exited prematurely: signal 9",
            "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 0.",
        ),
        do=(
            (
                "let a worker be replaced before it has grown too large",
                "celery -A APP worker --max-memory-per-child=500000",
            ),
        ),
    ),
    _entry(
        "gunicorn",
        "a worker of gunicorn, which guesses: gunicorn itself sends SIGKILL to a worker that times out",
        wording(
            rf"Worker \(pid:{_PIDS}\) was sent SIGKILL! Perhaps out of memory\?",
            "was sent SIGKILL! Perhaps",
            "[2026-03-01 10:00:00 +0000] [1] [ERROR] Worker (pid:4711) was sent SIGKILL! Perhaps out of memory?",
        ),
        do=(
            (
                "look for WORKER TIMEOUT just before it in the same log: then it was gunicorn",
                "grep -B5 'was sent SIGKILL' LOG",
            ),
        ),
    ),
    _entry(
        "uwsgi",
        "a worker of uWSGI",
        wording(
            rf"DAMN ! worker [0-9]{{1,4}} \(pid: {_PIDS}\) died, killed by signal 9",
            r"DAMN ! worker",
            "DAMN ! worker 1 (pid: 4711) died, killed by signal 9 :( trying respawn ...",
        ),
    ),
    _entry(
        "postgres",
        "a process of PostgreSQL",
        wording(
            rf"(?:.{{0,60}}?\s)?(?:server process|client backend|autovacuum worker|background worker.{{0,60}}?|parallel worker) \(PID {_PIDS}\) was terminated by signal 9: Killed",
            "was terminated by signal 9",
            "2026-03-01 10:00:00.123 UTC [1] LOG:  server process (PID 4711) was terminated by signal 9: Killed",
        ),
        do=(("protect the database and let the kernel refuse instead of kill", "sudo sysctl vm.overcommit_memory=2"),),
    ),
    _entry(
        "mpi",
        "a process of an MPI job",
        wording(
            r"=?\s*(?:EXIT CODE: 9|YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed \(signal 9\)|KILLED BY SIGNAL: 9 \(Killed\))",
            r"(?:KILLED BY SIGNAL: 9|EXIT STRING: Killed)",
            "=   KILLED BY SIGNAL: 9 (Killed)",
        ),
        wording(
            rf"(?:mpirun|mpiexec|prterun)\S* noticed that process rank [0-9]+ with PID {_PIDS} on node (?P<node>\S{{1,64}}) exited on signal 9",
            "exited on signal 9",
            "mpirun noticed that process rank 3 with PID 4711 on node n7 exited on signal 9 (Killed).",
        ),
    ),
    _entry(
        "srun",
        "a task of a Slurm job",
        wording(
            r"srun: error: (?P<node>\S{1,64}): tasks? [0-9,\[\]-]{1,64}: Killed",
            ": Killed",
            "srun: error: n7: task 0: Killed",
        ),
        do=(
            ("see whether Slurm calls it out of memory", "sacct -j JOBID --format=JobID,State,ExitCode,ReqMem,MaxRSS"),
        ),
    ),
    _entry(
        "compiler",
        "a compiler or linker",
        wording(
            r"(?:[\w+.-]{1,80}: )?(?:fatal error: |internal compiler error: |error: )?(?:Killed signal terminated program (?P<name>\S{1,40})|Killed \(program (?P<name2>\S{1,40}?)\)|(?P<name3>\S{0,40}ld\S{0,10}) terminated with signal 9 \[Killed\])",
            r"Killed signal terminated program|Killed \(program|terminated with signal 9",
            "g++: fatal error: Killed signal terminated program cc1plus",
        ),
        wording(
            r"(?P<name>clang\S{0,10}): error: unable to execute command: Killed",
            "unable to execute command: Killed",
            "clang: error: unable to execute command: Killed",
        ),
        wording(
            r"(?:.{0,300}?)\(signal: 9, SIGKILL: kill\)",
            "signal: 9, SIGKILL: kill",
            "process didn't exit successfully: `rustc --crate-name x` (signal: 9, SIGKILL: kill)",
        ),
        do=(("compile fewer files at a time", "make -j2"),),
    ),
    _entry(
        "make",
        "a command of make",
        wording(
            r"g?make(?:\[[0-9]{1,4}\])?: \*\*\* \[(?P<name>[^\]\n]{1,200})\] (?:Killed|Error 137)",
            r"\] Killed|\] Error 137",
            "make: *** [Makefile:3: all] Killed",
        ),
        do=(("run fewer commands at a time", "make -j2"),),
    ),
    _entry(
        "time",
        "a command that time(1) watched",
        wording(
            r"Command terminated by signal 9\b",
            "Command terminated by signal 9",
            "Command terminated by signal 9",
        ),
        facts=(
            fact("used_kb", r"Maximum resident set size \(kbytes\): ([0-9]{1,15})"),
            fact("command", r"Command being timed: \"(.{1,200})\""),
        ),
    ),
    _entry(
        "subprocess",
        "a child of a Python program",
        wording(
            r"(?:subprocess\.CalledProcessError: )?Command .{1,600}? died with <Signals\.SIGKILL: 9>",
            r"died with <Signals\.SIGKILL: 9>",
            "subprocess.CalledProcessError: Command '['python', 'prep.py']' died with <Signals.SIGKILL: 9>.",
        ),
        wording(
            r"(?:.{0,200}?\s)?exited with status code: -9\b",
            "exited with status code: -9",
            "10:00:00.123 | ERROR   | prefect.flow_runs.runner - Process for flow run 'x' exited with status code: -9; This indicates that the process exited due to a SIGKILL signal.",
        ),
        wording(
            r"(?:.{0,160}?\s)?(?:Task exited with return code (?:-9|Negsignal\.SIGKILL)|Negsignal\.SIGKILL)",
            r"return code -9|Negsignal\.SIGKILL",
            "[2026-03-01, 10:00:00 UTC] {local_task_job.py:156} INFO - Task exited with return code Negsignal.SIGKILL",
        ),
    ),
    _entry(
        "pytest-xdist",
        "a worker of pytest-xdist",
        wording(
            r"(?:E\s+)?worker '(?P<name>gw[0-9]{1,4})' crashed while running",
            "worker 'gw[0-9]",
            "worker 'gw3' crashed while running 'tests/test_a.py::test_b'",
        ),
        wording(
            r"\[(?P<name>gw[0-9]{1,4})\] node down: Not properly terminated",
            "node down: Not properly",
            "[gw3] node down: Not properly terminated",
        ),
        do=(("-n auto starts one worker for each processor, whatever the memory: start fewer", "pytest -n 2"),),
    ),
    _entry(
        "dask-killed",
        "workers of Dask, one after the other",
        wording(
            r"(?:distributed\.scheduler\.)?KilledWorker: (?:Attempted to run task|\()",
            r"KilledWorker: (?:Attempted to run|\()",
            "distributed.scheduler.KilledWorker: Attempted to run task ('x', 0) on 4 different workers, but all those workers died while running it.",
        ),
        do=(("see why, in the worker's own log", "grep -E 'memory budget|signal 9' WORKER.log"),),
    ),
    _entry(
        "ray-worker",
        "a worker of Ray, which died",
        wording(
            r"(?:\S{0,120}(?:WorkerCrashedError|ActorDiedError|RayActorError|OwnerDiedError): )?(?:The worker died unexpectedly while executing this task|A worker died or was killed while executing a task|The actor (?:is dead|died unexpectedly) because its (?:worker )?process has died)",
            "died unexpectedly|orker died or was killed|process has died",
            "(raylet) A worker died or was killed while executing a task by an unexpected system error.",
        ),
        wording(
            r"(?:\S{0,120}Error: )?The actor died unexpectedly before finishing this task",
            "died unexpectedly",
            "ray.exceptions.RayActorError: The actor died unexpectedly before finishing this task.",
        ),
        do=(("see why, in the raylet's log on that node", "ray logs raylet.out -ip ADDRESS | grep -E 'OOM|SIGKILL'"),),
    ),
    _entry(
        "jupyter",
        "a kernel of Jupyter",
        wording(
            r"(?:.{0,60}?\s)?(?:[Tt]he kernel (?:for .{1,120}? )?(?:appears to have died|died|has died)|Canceled future for execute_request message before replies were done|Kernel died(?: with exit code -?9)?, restarting|AsyncIOLoopKernelRestarter: restarting kernel)",
            "appears to have died|kernel died|has died|Canceled future for execute_request|Kernel died|KernelRestarter: restarting",
            "The kernel appears to have died. It will restart automatically.",
        ),
    ),
    _entry(
        "docker-exit",
        "a container, with exit status 137",
        wording(
            r"(?:.{0,300}?\s)?Exited \(137\)",
            r"Exited \(137\)",
            '5954f621c17f   prep:1    "python prep.py"   5 minutes ago   Exited (137) 2 minutes ago             web',
        ),
        wording(
            r"(?:.{0,300}?\s)?(?:exited with code 137|non-zero exit \(137\)|non-zero code: 137|did not complete successfully: exit code: 137)",
            r"exited with code 137|non-zero exit \(137\)|non-zero code: 137|exit code: 137",
            "web-1 exited with code 137",
        ),
        wording(
            r"(?:[0-9T:.Z+-]{20,40} )?container die (?P<container>[0-9a-f]{12,64}) \(.{0,300}?exitCode=137\b",
            "container die ",
            "2026-03-01T10:00:05.223456789+01:00 container die 5954f621c17f (execDuration=5, exitCode=137, image=prep:1, name=web)",
        ),
        do=(
            (
                "ask Docker whether it was memory",
                "docker inspect -f '{{.State.OOMKilled}} {{.HostConfig.Memory}}' CONTAINER",
            ),
        ),
    ),
    _entry(
        "kubernetes-exit",
        "a container of Kubernetes, with exit status 137",
        wording(
            r"(?:ERROR: Job failed: )?command terminated with exit code 137",
            "command terminated with exit code 137",
            "command terminated with exit code 137",
        ),
        wording(r"Exit Code:\s+137\s*$", "    137", "      Exit Code:    137"),
        do=(("ask Kubernetes whether it was memory", "kubectl describe pod POD | grep -A6 'Last State'"),),
    ),
    _entry(
        "ci",
        "a step of a CI job",
        wording(
            r"(?:##\[error\]|Error: )?Process completed with exit code 137",
            "Process completed with exit code 137",
            "Error: Process completed with exit code 137.",
        ),
        wording(
            r"(?:ERROR: )?Job failed:? \(?(?:exit code |exit status )137",
            "exit code 137|exit status 137",
            "ERROR: Job failed: exit code 137",
        ),
        wording(
            r"(?:.{0,120}?\s)?(?:##\[error\])?(?:(?:The )?(?:self-)?hosted runner.{0,80}? lost communication with the server|The runner has received a shutdown signal)",
            "lost communication with the server|runner has received a shutdown",
            "The hosted runner: GitHub Actions 3 lost communication with the server. Anything in your workflow that terminates the runner process can cause this error.",
        ),
        wording(
            r"(?:##\[error\])?We stopped hearing from agent .{1,120}?\. Verify the agent machine is running",
            "stopped hearing from agent",
            "##[error]We stopped hearing from agent Azure Pipelines 7. Verify the agent machine is running and has a healthy network connection.",
        ),
        wording(
            r"Received \"killed\" signal",
            r'Received \\?"killed\\?" signal',
            'Received "killed" signal',
        ),
        do=((f"compare with what the runner has: {_RUNNER}", "free -h; nproc"),),
    ),
    _entry(
        "workflow",
        "a task of a workflow, with exit status 137",
        wording(
            r"(?:.{0,200}?\s)?terminated with an error exit status \(137\)",
            r"error exit status \(137\)",
            "Process `align (1)` terminated with an error exit status (137)",
        ),
        do=(
            (
                "ask for more memory at each try, if it was memory: Nextflow",
                "process.memory = { 8.GB * task.attempt }; process.errorStrategy = { task.exitStatus == 137 ? 'retry' : 'terminate' }",
            ),
        ),
    ),
    _entry(
        "exit-137",
        "a program that ended with exit status 137",
        wording(
            r"(?:.{0,200}?\s|\(?)?(?:exit (?:code|status):? |(?:error )?code |exited with (?:status |code )?|returned? (?:code )?|status (?:of )?)137\b",
            "xit code: 137|xit code 137|rror code 137| code 137|xit status: 137|xited with 137|eturned 137|eturn 137|tatus 137|tatus of 137|xited with code 137",
            "CalledProcessError: Command returned non-zero exit status 137.",
        ),
    ),
    _entry(
        "systemd-exit",
        "a service of systemd",
        wording(
            r"(?:.{0,120}?\s)?(?P<name>\S{1,120}\.(?:service|scope)): Main process exited, code=killed, status=9/KILL",
            "code=killed, status=9/KILL",
            "Mar  1 10:00:00 h systemd[1]: prep.service: Main process exited, code=killed, status=9/KILL",
        ),
        do=(
            (
                "ask systemd whether it was memory: Result is oom-kill then",
                "systemctl show UNIT -p Result,MemoryMax,MemoryPeak",
            ),
        ),
    ),
    _entry(
        "vscode",
        "a kernel or a part of Visual Studio Code",
        wording(
            r"The Kernel crashed while executing code in the (?:current cell or a previous cell|the current cell)",
            "The Kernel crashed while executing",
            "The Kernel crashed while executing code in the current cell or a previous cell. ",
        ),
        wording(
            r"The window terminated unexpectedly \(reason: 'killed'",
            r"window terminated unexpectedly \(reason: 'killed'",
            "The window terminated unexpectedly (reason: 'killed', code: '9')",
        ),
        wording(
            rf"(?:.{{0,60}}?\s)?Extension host (?:\(.{{1,40}}?pid: {_PIDS}\) )?terminated unexpectedly\. Code: null, Signal: SIGKILL",
            "Extension host",
            "[error] Extension host (LocalProcess pid: 4711) terminated unexpectedly. Code: null, Signal: SIGKILL",
        ),
    ),
    _entry(
        "nginx",
        "a process of a server",
        wording(
            rf"(?:.{{0,100}}?\s)?(?:worker process|process) {_PIDS} exited on signal 9\b",
            "exited on signal 9",
            "2026/03/01 10:00:00 [alert] 1#1: worker process 31 exited on signal 9",
        ),
        wording(
            r"(?:.{0,60}?\s)?exited: (?P<name>\S{1,80}) \(terminated by SIGKILL; not expected\)",
            "terminated by SIGKILL; not",
            "2026-03-01 10:00:00,123 INFO exited: worker (terminated by SIGKILL; not expected)",
        ),
    ),
    _entry(
        "shell",
        "a command of a shell",
        wording(
            rf"(?:\S{{1,200}}: line [0-9]{{1,9}}:\s+|\[[0-9]{{1,6}}\][+-]?\s+)?(?:{_PIDS}\s+)?Killed(?:: 9)?(?:\s{{2,}}(?P<name>[\w./~\"$-].{{0,200}}))?\s*$",
            r"Killed(?:: 9)?(?:[ \t]{2,}\S|[ \t\r]*\n|[ \t\r]*\Z)",
            "./run.sh: line 3: 12345 Killed                  python prep.py",
        ),
        wording(
            rf"(?:zsh: killed\s+(?P<name>\S.{{0,200}})|fish: .{{0,120}}? terminated by signal SIGKILL|\[[0-9]+\]\s+[+-]?\s*{_PIDS} killed\s.{{0,200}})",
            "zsh: killed|terminated by signal SIGKILL| killed  ",
            "zsh: killed     python prep.py",
        ),
        wording(r"(?:error: )?signal: killed\s*$", "signal: killed", "signal: killed"),
        wording(
            r"(?:[^#]{0,200}?\s)?(?:[Kk]illed by|[Tt]erminated by|[Rr]eceived|[Ee]xited (?:on|with|by)|[Dd]ied with|interrupted by) (?:signal )?(?:9|SIGKILL|signal 9|signal SIGKILL)\b(?: \(SIGKILL\)|: SIGKILL|: Killed)?",
            "illed by signal 9|illed by SIGKILL|erminated by signal 9|erminated by SIGKILL|eceived SIGKILL|eceived signal 9|exited with signal 9|died with signal 9|exited by signal 9|nterrupted by signal 9",
            "worker 3 was killed by signal 9",
        ),
    ),
)
