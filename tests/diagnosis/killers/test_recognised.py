"""Messages of many systems, in the forms in which they are pasted: whose words they are, and the process where the text names one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.api import diagnose
from oomguard.diagnosis.killers import BY_IDENT

if TYPE_CHECKING:
    from pathlib import Path

# By hand, in the form of each system; names, ids and times are invented. Name: text, whose words, pid.
MESSAGES: dict[str, tuple[str, str, int | None]] = {
    "dockerkeys": ('State:{\nDead:false,\nError:"",\nExitCode:137,\nFinishedAt:"2025-05-30T21:45:11.910895562Z",\nOOMKilled:true,\nPaused:false,\nPid:0,\n}\n', "docker", None),
    "slurmhost": ("slurmstepd-n7: error: Detected 1 oom_kill event in StepId=71234.batch. Some of the step tasks have been OOM Killed.\n", "slurm", None),
    "slurmold2": ("slurmstepd: error: Detected 2 oom-kill event(s) in step 3756240.batch cgroup.\n", "slurm", None),
    "slurmmany": ("INFO:    Environment variable X is set\nslurmstepd: error: Detected 1959 oom_kill events in StepId=45226719.batch. Some of the step tasks have been OOM Killed.\nsrun: error: n7: task 0: Out Of Memory\nsrun: Terminating StepId=45226719.0\n", "slurm", None),
    "slurmjobid": ("slurmstepd: error: *** JOB 4711 ON n7 CANCELLED AT 2026-03-01T10:00:00 ***\nslurmstepd: error: Detected 1 oom_kill event in StepId=4711.batch.\n", "slurm", None),
    "slurmcgroup": ("slurmstepd: error: Exceeded step memory limit at some point.\nslurmstepd: error: Exceeded job memory limit at some point.\n", "slurm", None),
    "slurmtask": ("slurmstepd: error: task_cgroup: memory: Some of your processes may have been killed by the cgroup out-of-memory handler\n", "slurm", None),
    "slurmexceed": ("slurmstepd: error: Job 4711 exceeded memory limit (8400000 > 8388608), being killed\nslurmstepd: error: *** JOB 4711 ON n7 CANCELLED AT 2026-03-01T10:00:00 ***\n", "slurm-limit", None),
    "slurmxlimit": ("srun: error: n7: task 3: Out Of Memory\nslurmstepd: error: *** STEP 4711.0 ON n7 CANCELLED AT 2026-03-01T10:00:00 ***\n", "slurm", None),
    "slurmtasks": ("srun: error: n[7-8]: tasks 0-3: Out Of Memory\n", "slurm", None),
    "scontrol": ("JobId=4711 JobName=prep\n   UserId=ann(1000) GroupId=ann(1000) MCS_label=N/A\n   JobState=OUT_OF_MEMORY Reason=OutOfMemory Dependency=(null)\n   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=0:125\n   NumNodes=1 NumCPUs=4 NumTasks=1\n   ReqTRES=cpu=4,mem=8G,node=1,billing=4\n\n", "slurm", None),
    "squeueOOM": ("             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n              4711       cpu     prep      ann OOM       0:12      1 n7\n", "slurm-status", None),
    "snakeslurm": ("Error in rule prep:\n    message: SLURM-job '4711' failed, SLURM status is: 'OUT_OF_MEMORY'. For further error details see the cluster/cloud log and the log files of the involved rule(s).\n", "slurm-status", None),
    "sacctX": ("4711|prep|OUT_OF_MEMORY|0:125|12G|00:12:33\n", "slurm", None),
    "sacctjson": ('"state": {"current": ["OUT_OF_MEMORY"], "reason": "OutOfMemory"}\n', "slurm", None),
    "reportseff": ("     JobID    State       Elapsed  TimeEff   CPUEff   MemEff \n  4711    OUT_OF_MEMORY  00:12:33   12.5%     98%     99.9%\n", "slurm", None),
    "submitit": ("submitit.core.utils.UncompletedJobError: Job 4711 (task: 0) with path /logs/4711_0_result.pkl\nhas not produced any output (state: OUT_OF_MEMORY)\n", "slurm-status", None),
    "nannysig": ("2022-04-16 22:14:48,491 - distributed.nanny - INFO - Worker process 150 was killed by signal 9\n", "dask-killed", 150),
    "nannyunk": ("distributed.nanny - WARNING - Worker process 22204 was killed by unknown signal\ndistributed.nanny - WARNING - Restarting worker\n", "dask-killed", 22204),
    "earlyoomk": ("mem avail: 2278 of 5875 MiB (38 %), swap free:    0 of    0 MiB ( 0 %)\nLow memory! mem avail: 643 of 5875 MiB (10) % <= min 10 %, swap free: 0 of 0 MiB (0 %) <= min 10 %\nInvoking oom killer: Success\n", "earlyoom", None),
    "earlyoom16": ('mem avail:  1028 of 15934 MiB ( 6.46%), swap free:    0 of    0 MiB ( 0.00%)\nlow memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%\nsending SIGTERM to process 4711 uid 1000 "python3": badness 1105, VmRSS 9612 MiB\nprocess exited after 0.3 seconds\n', "earlyoom", 4711),
    "earlyoom17": ('sending SIGTERM to process 4711 uid 1000 "python3": oom_score 1105, oom_score_adj 0, VmRSS 9612 MiB, cmdline "python3 prep.py"\n', "earlyoom", 4711),
    "earlyoom18": ('sending SIGKILL to process 4711 uid 1000 "python3": oom_score 1105, oom_score_adj 0, VmRSS 9612 MiB, cgroup "/user.slice", cmdline "python3 prep.py"\n', "earlyoom", 4711),
    "raypid": ("2022-12-30 11:26:04,761 WARNING worker.py:1851 -- A worker died or was killed while executing a task by an unexpected system error. To troubleshoot the problem, check the logs for the dead worker. RayTask ID: 0a34 Worker ID: c01d Node ID: c50e Worker IP address: 10.0.0.9 Worker port: 10002 Worker PID: 922 Worker exit type: SYSTEM_ERROR\n", "ray-worker", 922),
    "rayevict": ("ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.\nMemory on the node (IP: 10.0.0.2, ID: ef) where the task (task ID: c8, name=prep, pid=4711, memory used=5.10GB) was running was 15.21GB / 16.00GB (0.950625), which exceeds the memory usage threshold of 0.95. Ray killed this worker (ID: 1f) because of the memory usage threshold of 0.95\n", "ray", 4711),
    "raylocal": ("(raylet, ip=10.0.0.9) [2026-03-01 10:00:00,123 E 55 55] (raylet) node_manager.cc:3098: 3 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: ef, IP: 10.0.0.9) over the last time period. To see more information about the Workers killed on this node, use `ray logs raylet.out -ip 10.0.0.9`\n", "ray", None),
    "rayserve": ("ray.exceptions.ActorDiedError: The actor died unexpectedly before finishing this task.\n\tclass_name: A\n\tactor_id: 8f\n\tpid: 4711\n\tThe actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file. There are some potential root causes. (1) The process is killed by SIGKILL by OOM killer due to high memory usage.\n", "ray-worker", 4711),
    "flux": ("flux-shell[0]: ERROR: oom: Memory cgroup out of memory: killed 1 task on n7.\n", "flux", None),
    "airflowpod": ("airflow.exceptions.AirflowException: Pod prep-1 returned a failure.\nremote_pod: {... 'state': {'running': None, 'terminated': {'container_id': 'containerd://59', 'exit_code': 137, 'finished_at': datetime.datetime(2026, 3, 1), 'message': None, 'reason': 'OOMKilled', 'signal': None}}\n", "kubernetes", None),
    "sparkyarn143": ("ExecutorLostFailure (executor 7 exited caused by one of the running tasks) Reason: Container from a bad node: container_1646_0001_01_000008 on host: n7. Exit status: 137. Diagnostics: [2026-03-01 10:00:00.123]Container killed on request. Exit code is 137\n[2026-03-01 10:00:00.124]Container exited with a non-zero exit code 137.\n[2026-03-01 10:00:00.125]Killed by external signal\n", "spark", None),
    "sparkrpc": ("ExecutorLostFailure (executor 3 exited caused by one of the running tasks) Reason: Remote RPC client disassociated. Likely due to containers exceeding thresholds, or network issues. Check driver logs for WARN messages.\n", "spark", None),
    "sagemaker": ("UnexpectedStatusException: Error for Training job x: Failed. Reason: AlgorithmError: OutOfMemoryError: , exit code: 137\n", "exit-137", None),
    "appengine": ("While handling this request, the process that handled this request was found to be using too much memory and was terminated. This is likely to cause a new process to be used for the next request to your application.\n", "cloud-run", None),
    "cloudrun2": ("The container instance was found to be using too much memory and was terminated. This is likely to cause a new container instance to be used for the next request.\n", "cloud-run", None),
    "vercel": ('At least one "Out of Memory" ("OOM") event was detected during the build. This occurs when processes or applications running during the build completely fill up the available memory (RAM) in the build container.\n', "vercel", None),
    "vercel2": ('Error: Command "npm run build" exited with SIGKILL\n', "node-build", None),
    "streamlit": ("Oh no.\nThis app has gone over its resource limits.\nPlease reboot.\n", "streamlit", None),
    "es": ("ERROR: Elasticsearch exited unexpectedly, with exit code 137\n", "exit-137", None),
    "npm": ("npm ERR! path /app\nnpm ERR! command failed\nnpm ERR! signal SIGKILL\nnpm ERR! command sh -c node build.js\n", "node-build", None),
    "npm2": ("npm error code 137\nnpm error path /app\n", "exit-137", None),
    "elife": (" ELIFECYCLE  Command failed with exit code 137.\n", "exit-137", None),
    "nextjs2": ("Error: Static page generation for /a is still timing out\nStatic worker exited with code: null and signal: SIGKILL\n", "node-build", None),
    "maven": ("The forked VM terminated without properly saying goodbye. VM crash or System.exit called?\nError occurred in starting fork, check output in log\nProcess Exit Code: 137\n", "jvm-build", None),
    "pipwheel": ("  × Building wheel for x (pyproject.toml) did not run successfully.\n  │ exit code: -9\n  ╰─> [12 lines of output]\n", "compiler", None),
    "buildkit": ("------\n > [build 5/7] RUN npm run build:\n------\nexecutor failed running [/bin/sh -c npm run build]: exit code: 137\n", "exit-137", None),
    "conda": ("Solving environment: - Killed\n", "shell", None),
    "tqdmkilled": ("Map (num_proc=8):  45%|████▌     | 45000/100000 [00:10<00:12, 4391.22 examples/s]Killed\n", "shell", None),
    "tqdmkilled2": ("Loading checkpoint shards:  33%|███▎      | 1/3 [00:10<00:20, 10.11s/it] Killed\n", "shell", None),
    "job1": ("[1]+  Killed                  python prep.py\n", "shell", None),
    "job2": ("[1]    12345 killed     python prep.py\n", "shell", 12345),
    "job3": ("[1]  + 12345 killed     python prep.py\n", "shell", 12345),
    "de": ("$ python prep.py\nGetötet\n", "shell", None),
    "fr": ("$ python prep.py\nProcessus arrêté\n", "shell", None),
    "zh": ("$ python prep.py\n已杀死\n", "shell", None),
    "ja": ("$ python prep.py\n強制終了\n", "shell", None),
    "ru": ("$ python prep.py\nУбито\n", "shell", None),
    "es2": ("$ python prep.py\nTerminado (killed)\n", "shell", None),
    "it": ("$ python prep.py\nUcciso\n", "shell", None),
    "pt": ("$ python prep.py\nMorto\n", "shell", None),
    "zhjob": ("./run.sh：行 3： 12345 已杀死               python prep.py\n", "shell", 12345),
    "spinner": ("Building wheel for x (setup.py) ... - \\ | Killed\n", "shell", None),
    "dash": ("/bin/sh: 1: Matado\n", "shell", None),
    "frjob": ("./run.sh : ligne 3 :  4711 Tué                     python prep.py\n", "shell", 4711),
    "jajob": ("./run.sh: 3 行: 12345 強制終了               python prep.py\n", "shell", 12345),
    "column": ("web-1  | Killed\n", "shell", None),
    "dejob": ("./run.sh: Zeile 3: 12345 Getötet                 python prep.py\n", "shell", 12345),
    "torque2": ("=>> PBS: job killed: vmem 10738016256 exceeded limit 10737418240\n", "pbs", None),
    "pbspro": ("=>> PBS: job killed: mem 132120576kb exceeded limit 132120575kb\n03/01/2026 10:00:00;0008;pbs_mom;Job;4711.pbs;mem 132120576kb exceeded limit 132120575kb\n", "pbs", None),
    "pbspro2": ("Cgroup mem limit exceeded: Killed process 4711 (python)\n", "pbs", None),
    "lsf2": ("Exited with exit code 137.\n\nTERM_MEMLIMIT: job killed after reaching LSF memory usage limit.\n", "lsf", None),
    "lsfbjobs": ("Job <4711>, Job Name <prep>, User <ann>, Status <EXIT>\nSun Mar  1 10:00:00: Exited by signal 9. The CPU time used is 60.0 seconds;\nSun Mar  1 10:00:00: Completed <exit>; TERM_MEMLIMIT: job killed after reaching LSF memory usage limit;\n", "lsf", None),
    "sgeqacct": ("failed       100 : assumedly after job\nexit_status  137                  (Killed)\n", "exit-137", None),
    "cf": ("2026-03-01T10:00:00.00+0000 [APP/PROC/WEB/0] OUT Exit status 137 (out of memory)\n", "cloudfoundry", None),
    "rtd2": ("Command killed due to timeout or excessive memory consumption\n", "readthedocs-end", None),
    "rtd": ("Command killed due to excessive memory consumption\n", "readthedocs", None),
    "cfworker": ("  (error) Error: Worker exceeded memory limit.\n", "cloudflare", None),
    "cfworker2": ("Your Worker exceeded memory limit.\n", "cloudflare", None),
    "bitbucket": ("Container 'docker' exceeded memory limit.\n", "bitbucket", None),
    "slurmjson": ('{"jobs": [{"job_id": 4711, "job_state": ["OUT_OF_MEMORY"]}]}\n', "slurm", None),
    "slurmstate": ('{"name": "prep", "state": "OUT_OF_MEMORY", "job_id": 4711}\n', "slurm", None),
    "execa": ("Command was killed with SIGKILL (Forced termination): npm run build\n", "node-build", None),
    "jenkins": ("ERROR: script returned exit code 137\n", "exit-137", None),
    "travis": ('The command "make test" exited with 137.\n', "exit-137", None),
    "buildkite": ("🚨 Error: The command exited with status 137\n", "exit-137", None),
    "teamcity": ("Process exited with code 137 (Step: Build)\n", "exit-137", None),
    "ghproc": ("Error: The process '/usr/bin/docker' failed with exit code 137\n", "exit-137", None),
    "circle": ("Exited with code exit status 137\n", "exit-137", None),
    "gitlab2": ("ERROR: Job failed: command terminated with exit code 137\n", "kubernetes-exit", None),
    "clickhouse": ("Code: 241. DB::Exception: Memory limit (total) exceeded: would use 7.00 GiB (attempt to allocate chunk of 4194304 bytes), maximum: 7.00 GiB. (MEMORY_LIMIT_EXCEEDED)\n", "database", None),
    "winpage": ('OSError: [WinError 1455] The paging file is too small for this operation to complete. Error loading "C:\\\\torch\\\\lib\\\\cudnn.dll" or one of its dependencies.\n', "windows", None),
    "jax": ("jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory allocating 17179869184 bytes.\n", "gpu", None),
    "jax2": ("jax.errors.JaxRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to allocate 16.00GiB.\n", "gpu", None),
    "cublas": ("RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`\n", "gpu", None),
    "npu": ("RuntimeError: NPU out of memory. Tried to allocate 2.00 GiB (NPU 0; 29.50 GiB total capacity)\n", "gpu", None),
    "vllmblocks": ("ValueError: No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when initializing the engine.\n", "gpu", None),
    "matlab": ("Out of memory.\nRequested 200000x200000 (298.0GB) array exceeds maximum array size preference.\n", "refused", None),
    "javaexit": ("Terminating due to java.lang.OutOfMemoryError: Java heap space\n", "java", None),
    "snow": ("Function available memory exhausted. Please visit https://docs.snowflake.com\n", "database", None),
    "gnome": ("systemd-oomd[611]: Killed /user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-1.scope due to memory used (7893094400) / total (8251351040) and swap used (1932735283) / total (2147479552) being more than 90.00%\n", "systemd-oomd", None),
    "oomdwarn": ("systemd[2211]: app-firefox.scope: systemd-oomd killed some process(es) in this unit.\n", "systemd-oomd", None),
    "oomdnotif": ("systemd[1]: user@1000.service: systemd-oomd killed 11 process(es) in this unit.\n", "systemd-oomd", None),
    "sysstat": ("● prep.service - Prep\n     Loaded: loaded (/etc/systemd/system/prep.service; enabled)\n     Active: failed (Result: oom-kill) since Sun 2026-03-01 10:00:00 UTC; 5min ago\n   Duration: 12min 3s\n    Process: 4711 ExecStart=/usr/bin/python3 prep.py (code=killed, signal=KILL)\n   Main PID: 4711 (code=killed, signal=KILL)\n     Memory: 8.0G (peak: 8.0G)\n\n", "systemd", None),
    "sysstat9": ("● prep.service - Prep\n     Active: failed (Result: signal) since Sun 2026-03-01 10:00:00 UTC; 5min ago\n   Main PID: 4711 (code=killed, signal=KILL)\n\n", "systemd-exit", 4711),
    "nomad2": ('Recent Events:\nTime                       Type        Description\n2026-03-01T10:00:00+01:00  Terminated  Exit Code: 137, Exit Message: "Docker container exited with non-zero exit code: 137"\n2026-03-01T10:00:00+01:00  Terminated  Exit Code: 137, Signal: 9, Exit Message: "OOM Killed"\n', "nomad", None),
    "ecs2": ('"stopCode": "EssentialContainerExited",\n"stoppedReason": "Essential container in task exited",\n"containers": [{"name": "prep", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}]\n', "ecs", None),
    "batch2": ("Status: FAILED\nStatus reason: Essential container in task exited\nContainer message: OutOfMemoryError: Container killed due to memory usage\nExit code: 137\n", "ecs", None),
    "kevict2": ("  Warning  Evicted  3m  kubelet  The node was low on resource: memory. Container web was using 1004800Ki, which exceeds its request of 0.\n", "kubelet", None),
    "kinit": ("web-1   0/1     Init:OOMKilled   3 (31s ago)   2m\n", "kubernetes", None),
    "kjson": ('{"lastState":{"terminated":{"containerID":"containerd://59","exitCode":137,"finishedAt":"2026-03-01T10:00:00Z","reason":"OOMKilled","startedAt":"2026-03-01T09:59:00Z"}}}\n', "kubernetes", None),
    "kcol": ("NAME    LAST_REASON\nweb-1   OOMKilled\nweb-2   <none>\n", "kubernetes", None),
    "podmaninspect": ('          "OOMKilled": true,\n          "Dead": false,\n          "Pid": 0,\n          "ExitCode": 137,\n', "docker", None),
    "dockerdlog": ('Mar 01 10:00:00 h dockerd[811]: time="2026-03-01T10:00:00.123Z" level=info msg="ignoring event" container=5954f621c17f topic=/tasks/oom type="*events.TaskOOM"\n', "docker", None),
    "lightning": ("torch.multiprocessing.spawn.ProcessExitedException: process 1 terminated with signal SIGKILL\n", "torchrun", None),
    "accel": ("subprocess.CalledProcessError: Command '['/usr/bin/python3', 'train.py']' died with <Signals.SIGKILL: 9>.\n", "subprocess", None),
    "rustc": ("error: could not compile `x` (lib)\n\nCaused by:\n  process didn't exit successfully: `rustc --crate-name x` (signal: 9, SIGKILL: kill)\n", "compiler", None),
    "golink": ("/usr/lib/go/pkg/tool/linux_amd64/link: running gcc failed: signal: killed\n", "compiler", None),
    "coll2": ("collect2: fatal error: ld terminated with signal 9 [Killed]\n", "compiler", None),
    "ninja": ("FAILED: a.o\n/usr/bin/c++ -c a.cc\nc++: fatal error: Killed signal terminated program cc1plus\n", "compiler", None),
    "supervisor": ("2026-03-01 10:00:00,123 INFO exited: prep (terminated by SIGKILL; not expected)\n", "nginx", None),
    "sshkill": ("bash: line 1:  4711 Killed                  python3 prep.py\n", "shell", 4711),
    "nohup": ("nohup: ignoring input\n./run.sh: line 12:  4711 Killed                  nice python3 prep.py --in x\n", "shell", 4711),
    "subsh": ("/bin/sh: 1: Killed\n", "shell", None),
    "sudoK": ("sudo: python3: Killed\n", "shell", None),
    "valgr": ("Process finished with exit code 137 (interrupted by signal 9: SIGKILL)\n", "exit-137", None),
    "spyder": ("An error occurred while starting the kernel\nThe kernel died. Restarting...\n", "jupyter", None),
    "htc2": ("012 (4711.000.000) 2026-03-01 10:00:00 Job was held.\n\tError from slot1_1@n12: Job has gone over cgroup memory limit of 2048 megabytes. Last measured usage: 2041 megabytes.\n\tCode 34 Subcode 102\n", "htcondor", None),
    "htc4": ("Hold reason: Docker job has gone over memory limit of 128 Mb\n", "htcondor", None),
    "cromwell": ("Job prep.align:NA:1 exited with return code 137 which has not been declared as a valid return code.\n", "exit-137", None),
    "nfOom": ("Command exit status:\n  137\n\nCommand error:\n  .command.sh: line 3:    31 Killed                  bwa mem\n", "shell", 31),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_whose_words_they_are(tmp_path: Path, name: str) -> None:
    text, told_by, pid = MESSAGES[name]
    log = tmp_path / "pasted.txt"
    log.write_text(text)
    answer = diagnose(log)
    is_kill = BY_IDENT[told_by].says == "kill"
    first = next(each for each in (answer.others if is_kill else answer.notices) if each.told_by == told_by)
    assert first.pid == pid
    assert answer.verdict == ("proved" if is_kill else "none")
    assert answer.advice
    assert not [
        step
        for step in answer.advice
        if "{" in (step.command or "").replace("{{", "") and "=" not in (step.command or "")
    ]


# Machines, people, folders, pods and scripts in the messages above.
NAMED = re.compile(
    r"\b(?:n7|n12|n3|ann|shop|localhost|10\.0\.0\.[0-9]+|prep\.py|train\.py)\b|web-1|/usr/bin|/home|/logs|/azureml|github\.com"
)


@pytest.mark.parametrize("name", MESSAGES)
def test_redacted_it_names_nobody(tmp_path: Path, name: str) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(MESSAGES[name][0])
    answer = diagnose(log, redact=True)
    assert NAMED.findall(f"{answer.render()}\n{json.dumps(answer.to_json())}") == []
