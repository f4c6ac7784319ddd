"""Workers, and what they are started by, that ended with a SIGKILL whose sender and reason the text does not name."""

from __future__ import annotations

from oomguard.diagnosis.killers.base import PID, Killer, fact, sigkill, wording

_FEWER = "a worker gets its own copy of each page of its parent's objects that it touches (copy-on-write)"

WORKERS: tuple[Killer, ...] = (
    sigkill(
        "dataloader",
        "a PyTorch DataLoader worker",
        wording(
            rf"(?:RuntimeError: )?DataLoader worker \(pid(?:\(s\))? {PID}[0-9, ]{{0,200}}\) (?:is killed by signal: Killed|exited unexpectedly)",
            r"DataLoader worker \(pid",
            "RuntimeError: DataLoader worker (pid 1817) is killed by signal: Killed. ",
        ),
        do=(
            (
                f"fewer workers, each with less: {_FEWER}",
                "DataLoader(..., num_workers=2, prefetch_factor=2, persistent_workers=True)",
            ),
            (
                "keep the dataset in arrays (numpy, Arrow), not in Python lists and dicts: reading a list copies it",
                None,
            ),
        ),
    ),
    sigkill(
        "torchrun",
        "a process started by torchrun, accelerate or deepspeed",
        wording(
            rf"(?:failed|exitcode)\s*[:(]\s*(?:exitcode: )?-9\)?.{{0,80}}?\(?pid: {PID}\)",
            r"exitcode\s{0,6}: -9",
            "failed (exitcode: -9) local_rank: 0 (pid: 4711) of binary: /usr/bin/python3",
        ),
        wording(
            rf"(?:traceback\s*: )?Signal 9 \(SIGKILL\) received by PID {PID}",
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
    sigkill(
        "pool",
        "a worker in a Python process pool",
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
        wording(
            r"(?:concurrent\.futures\.process\.)?BrokenProcessPool: A child process terminated abruptly",
            "terminated abruptly",
            "concurrent.futures.process.BrokenProcessPool: A child process terminated abruptly, the process pool is not usable anymore",
        ),
        wording(
            rf"(?:.{{0,80}}?)<(?:\w{{0,20}}Process) name='(?P<name>[^']{{1,80}})' pid={PID} parent=[0-9]{{1,10}} stopped exitcode=-SIGKILL",
            "stopped exitcode=-SIGKILL",
            "<Process name='Process-1' pid=4711 parent=4700 stopped exitcode=-SIGKILL>",
        ),
        do=((f"fewer workers: {_FEWER}", "ProcessPoolExecutor(max_workers=2)"),),
    ),
    sigkill(
        "datasets",
        "a Hugging Face datasets worker",
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
    sigkill(
        "celery",
        "a worker of Celery or RQ",
        wording(
            rf"Process '(?P<name>[^']{{1,80}})' pid:{PID} exited with 'signal 9 \(SIGKILL\)'",
            "exited with 'signal 9",
            "[2026-03-01 10:00:00,123: ERROR/MainProcess] Process 'ForkPoolWorker-1' pid:4711 exited with 'signal 9 (SIGKILL)'",
        ),
        wording(
            r"(?:.{0,200}?\s)?(?:WorkerLostError\(?['\"]?:? ?['\"]?)?Worker exited prematurely: signal 9 \(SIGKILL\)",
            r"exited prematurely: signal 9",
            "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 0.",
        ),
        wording(  # RQ
            r"(?:.{0,160}?\s)?\(?Work-horse (?:process )?(?:was )?terminated unexpectedly; waitpid returned (?:9\b|[^;)]{0,60}?\bsignal 9\b)",
            "terminated unexpectedly; waitpid",
            "Moving job to FailedJobRegistry (Work-horse terminated unexpectedly; waitpid returned 9 (signal 9); )",
        ),
        do=(
            (
                "let a worker be replaced before it has grown too large",
                "celery -A APP worker --max-memory-per-child=500000",
            ),
        ),
    ),
    sigkill(
        "gunicorn",
        "a gunicorn worker (gunicorn only guesses: it also sends SIGKILL to a worker that times out)",
        wording(
            rf"Worker (?:\(pid:{PID}\) was sent SIGKILL! Perhaps out of memory\?|with pid (?P<pid2>[0-9]{{1,10}}) was terminated due to signal 9)",
            "was sent SIGKILL! Perhaps|was terminated due to signal 9",
            "[2026-03-01 10:00:00 +0000] [1] [ERROR] Worker (pid:4711) was sent SIGKILL! Perhaps out of memory?",
        ),
        do=(
            (
                "look for WORKER TIMEOUT just before it in the same log: then it was gunicorn",
                "grep -B5 'was sent SIGKILL' LOG",
            ),
        ),
    ),
    sigkill(
        "mclapply",
        "a parallel worker of R",
        wording(
            r"(?:In mclapply\(.{0,400}?\)\s?:\s*)?scheduled cores? [0-9, ]{1,40} (?:did not deliver (?:a result|results), all (?:values|jobs))",
            "did not deliver",
            "  scheduled core 2 did not deliver a result, all values of the job will be affected",
        ),
        do=(("fewer workers: each is a copy of the session that grows as it writes", "mclapply(..., mc.cores = 2)"),),
    ),
    sigkill(
        "uwsgi",
        "a uWSGI worker",
        wording(
            rf"DAMN ! worker [0-9]{{1,4}} \(pid: {PID}\) died, killed by signal 9",
            r"DAMN ! worker",
            "DAMN ! worker 1 (pid: 4711) died, killed by signal 9 :( trying respawn ...",
        ),
    ),
    sigkill(
        "mpi",
        "a process in an MPI job",
        wording(
            r"=?\s*(?:EXIT CODE: 9|YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed \(signal 9\)|KILLED BY SIGNAL: 9 \(Killed\))",
            r"(?:KILLED BY SIGNAL: 9|EXIT STRING: Killed)",
            "=   KILLED BY SIGNAL: 9 (Killed)",
        ),
        wording(
            rf"(?:mpirun|mpiexec|prterun)\S* noticed that process rank [0-9]+ with PID {PID} on node (?P<node>\S{{1,64}}) exited on signal 9",
            "exited on signal 9",
            "mpirun noticed that process rank 3 with PID 4711 on node n7 exited on signal 9 (Killed).",
        ),
    ),
    sigkill(
        "srun",
        "a task in a Slurm job",
        wording(
            r"srun: error: (?P<node>\S{1,64}): tasks? [0-9,\[\]-]{1,64}: Killed",
            ": Killed",
            "srun: error: n7: task 0: Killed",
        ),
        do=(
            ("see whether Slurm calls it out of memory", "sacct -j JOBID --format=JobID,State,ExitCode,ReqMem,MaxRSS"),
        ),
    ),
    sigkill(
        "subprocess",
        "a child of a Python program",
        wording(
            r"(?:subprocess\.CalledProcessError: )?Command .{1,600}? died with <Signals\.SIGKILL: 9>",
            r"died with <Signals\.SIGKILL: 9>",
            "subprocess.CalledProcessError: Command '['python', 'prep.py']' died with <Signals.SIGKILL: 9>.",
        ),
        wording(  # DVC
            r"(?:failed to reproduce '[^'\n]{1,120}': )?failed to run: .{1,400}?, exited with -9\b",
            ", exited with -9",
            "ERROR: failed to reproduce 'prep': failed to run: python prep.py, exited with -9",
        ),
        wording(  # 256 - 9: a status of -9 that was made one of a byte
            r"(?:subprocess\.CalledProcessError: )?Command .{1,600}? returned non-zero exit status 247\b",
            "non-zero exit status 247",
            "subprocess.CalledProcessError: Command '['python', 'train.py']' returned non-zero exit status 247.",
        ),
        wording(
            r"(?:.{0,200}?\s)?exited with status code:? -9\b",
            "exited with status code: -9|exited with status code -9",
            "10:00:00.123 | ERROR   | prefect.flow_runs.runner - Process for flow run 'x' exited with status code: -9; This indicates that the process exited due to a SIGKILL signal.",
        ),
        wording(
            r"(?:.{0,160}?\s)?(?:Task exited with return code (?:-9|Negsignal\.SIGKILL)|Negsignal\.SIGKILL)",
            r"return code -9|Negsignal\.SIGKILL",
            "[2026-03-01, 10:00:00 UTC] {local_task_job.py:156} INFO - Task exited with return code Negsignal.SIGKILL",
        ),
    ),
    sigkill(
        "pytest-xdist",
        "a pytest-xdist worker",
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
    sigkill(
        "dask-killed",
        "Dask workers, one after the other",
        wording(
            r"(?:distributed\.scheduler\.)?KilledWorker: (?:Attempted to run task|\()",
            r"KilledWorker: (?:Attempted to run|\()",
            "distributed.scheduler.KilledWorker: Attempted to run task ('x', 0) on 4 different workers, but all those workers died while running it.",
        ),
        wording(
            rf"(?:distributed\.\S{{1,60}} - \w+ - )?Worker process {PID} was killed by (?:signal 9|unknown signal)",
            "was killed by signal 9|was killed by unknown signal",
            "distributed.nanny - WARNING - Worker process 22204 was killed by unknown signal",
        ),
        wording(
            r"(?:distributed\.\S{1,60} - \w+ - )?Task .{1,300}? marked as failed because [0-9]{1,6} workers died while trying to run it",
            "workers died while trying to run it",
            "distributed.scheduler - ERROR - Task ('read-csv-3f48', 0) marked as failed because 4 workers died while trying to run it",
        ),
        do=(("see why, in the worker's own log", "grep -E 'memory budget|signal 9' WORKER.log"),),
    ),
    sigkill(
        "ray-worker",
        "a Ray worker",
        wording(
            rf"(?:\S{{1,80}}\.(?:py|cc):[0-9]{{1,6}} -- |\S{{0,120}}(?:WorkerCrashedError|ActorDiedError|RayActorError|OwnerDiedError): )?(?:The worker died unexpectedly while executing this task|A worker died or was killed while executing a task|The actor (?:is dead|died unexpectedly) because its (?:worker )?process has died)(?:.{{0,800}}?Worker PID: {PID})?",
            "died unexpectedly|orker died or was killed|process has died",
            "(raylet) A worker died or was killed while executing a task by an unexpected system error.",
        ),
        wording(
            r"(?:\S{0,120}Error: )?The actor died unexpectedly before finishing this task",
            "died unexpectedly",
            "ray.exceptions.RayActorError: The actor died unexpectedly before finishing this task.",
        ),
        facts=(fact("pid", r"^\s{0,8}pid: ([0-9]{1,10})\s*$", "after"),),
        do=(("see why, in the raylet's log on that node", "ray logs raylet.out -ip ADDRESS | grep -E 'OOM|SIGKILL'"),),
    ),
    sigkill(
        "jupyter",
        "a Jupyter kernel",
        wording(
            r"(?:the kernel (?:for .{1,120}? )?(?:appears to have died|died|has died)"
            r"|(?:.{0,60}?\s)?(?:The kernel (?:for .{1,120}? )?(?:appears to have died|died|has died)|Canceled future for execute_request message before replies were done|Kernel died(?: with exit code -?9)?, restarting|AsyncIOLoopKernelRestarter: restarting kernel))",
            "appears to have died|kernel died|has died|Canceled future for execute_request|Kernel died|KernelRestarter: restarting",
            "The kernel appears to have died. It will restart automatically.",
        ),
        wording(
            r"(?:\S{1,80}\.)?DeadKernelError: Kernel died",
            "DeadKernelError: ",
            "nbclient.exceptions.DeadKernelError: Kernel died",
        ),
        wording(
            r"The previous R session was abnormally terminated due to an unexpected crash",
            "R session was abnormally terminated",
            "The previous R session was abnormally terminated due to an unexpected crash.",
        ),
    ),
    sigkill(
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
            rf"(?:.{{0,60}}?\s)?Extension host (?:\(.{{1,40}}?pid: {PID}\) )?terminated unexpectedly\. Code: null, Signal: SIGKILL",
            "Extension host",
            "[error] Extension host (LocalProcess pid: 4711) terminated unexpectedly. Code: null, Signal: SIGKILL",
        ),
    ),
    sigkill(
        "spark",
        "an executor, a Python worker or the driver of Spark",
        wording(
            r"(?:.{0,200}?\s)?The executor with id (?P<name>[0-9]{1,9}) exited with exit code 137",
            "exited with exit code 137",
            "The executor with id 3 exited with exit code 137(SIGKILL, possible container OOM).",
        ),
        wording(
            r"(?:.{0,400}?\s)?(?:Diagnostics: )?(?:\[[^\]]{1,40}\])?Container killed on request\. Exit code is 137",
            "Container killed on request. Exit code is 137",
            "[2026-03-01 10:00:00.123]Container killed on request. Exit code is 137",
        ),
        wording(
            r"(?:.{0,300}?\s)?Remote RPC client disassociated\. Likely due to containers exceeding thresholds",
            "Remote RPC client disassociated",
            "ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Remote RPC client disassociated. Likely due to containers exceeding thresholds, or network issues.",
        ),
        wording(
            r"(?:.{0,300}?\s)?Command exited with code 137",
            "Command exited with code 137",
            "ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Command exited with code 137",
        ),
        wording(
            r"(?:org\.apache\.spark\.\S{1,60}: )?Python worker exited unexpectedly \(crashed\)",
            r"Python worker exited unexpectedly",
            "org.apache.spark.SparkException: Python worker exited unexpectedly (crashed)",
        ),
        wording(
            r"The spark driver has stopped unexpectedly and is restarting",
            "spark driver has stopped unexpectedly",
            "The spark driver has stopped unexpectedly and is restarting. Your notebook will be automatically reattached.",
        ),
        do=(
            (
                "if it was memory: give more memory outside of the heap, which is where Python and Arrow are",
                "spark-submit --conf spark.executor.memoryOverhead=4g --conf spark.executor.pyspark.memory=4g APP",
            ),
        ),
    ),
    sigkill(
        "model-server",
        "a process that serves a model",
        wording(
            r"(?:.{0,120}?\s)?Shard process was signaled to shutdown with signal 9\b",
            "signaled to shutdown with signal 9",
            "ERROR text_generation_launcher: Shard process was signaled to shutdown with signal 9 rank=0",
        ),
        wording(
            r"(?:Error: )?(?:.{0,80}?)llama runner process has terminated: signal: killed",
            "runner process has terminated: signal: killed",
            "Error: llama runner process has terminated: signal: killed",
        ),
        do=(
            ("a smaller or quantized model, or a shorter context: weights and cache are read into memory first", None),
        ),
    ),
)
