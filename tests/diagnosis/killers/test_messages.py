"""Messages of other systems as their users paste them: who killed, what is read out of the text, and what is only passed on."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.api import diagnose
from oomguard.diagnosis.killers import BY_IDENT, KILLERS
from oomguard.formats.kernel_log import OtherKill

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.diagnosis.killers.base import Killer

# By hand, in the form of each system; names, ids and times are invented. Name: text, killer, whose words, facts.
KILLS: dict[str, tuple[str, str, str, dict[str, str]]] = {
    "kdescribe": ("Name:             web-1\nNamespace:        shop\nPriority:         0\nNode:             n3/10.0.0.3\nStart Time:       Sun, 01 Mar 2026 09:50:00 +0000\nStatus:           Running\nIP:               10.1.0.7\nContainers:\n  prep:\n    Container ID:  containerd://5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724\n    Image:         prep:1\n    State:          Waiting\n      Reason:       CrashLoopBackOff\n    Last State:     Terminated\n      Reason:       OOMKilled\n      Exit Code:    137\n      Started:      Sun, 01 Mar 2026 09:59:00 +0000\n      Finished:     Sun, 01 Mar 2026 10:00:00 +0000\n    Ready:          False\n    Restart Count:  5\n    Limits:\n      cpu:     1\n      memory:  512Mi\n    Requests:\n      cpu:     500m\n      memory:  256Mi\n    Environment:  <none>\nConditions:\n  Type              Status\n", "kernel", "kubernetes", {"pod": "web-1", "namespace": "shop", "container": "prep", "limit": "512Mi", "restarts": "5"}),
    "kyaml": ('apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-1\n  namespace: shop\nspec:\n  containers:\n  - image: prep:1\n    name: prep\n    resources:\n      limits:\n        memory: 512Mi\nstatus:\n  containerStatuses:\n  - containerID: containerd://5954f621c17f\n    image: prep:1\n    lastState:\n      terminated:\n        exitCode: 137\n        finishedAt: "2026-03-01T10:00:00Z"\n        reason: OOMKilled\n        startedAt: "2026-03-01T09:59:00Z"\n    name: prep\n    ready: false\n    restartCount: 5\n', "kernel", "kubernetes", {"pod": "web-1", "namespace": "shop", "container": "prep", "limit": "512Mi", "finished": "2026-03-01T10:00:00Z"}),
    "kpods": ("NAME      READY   STATUS      RESTARTS      AGE\napi-0     1/1     Running     0             5d\nweb-1     0/1     OOMKilled   5 (2m ago)    10m\n", "kernel", "kubernetes", {"pod": "web-1", "restarts": "5"}),
    "kpodsA": ("NAMESPACE   NAME      READY   STATUS             RESTARTS   AGE\nshop        web-1     0/1     OOMKilled          5          10m\nshop        web-2     0/1     CrashLoopBackOff   5          10m\n", "kernel", "kubernetes", {"pod": "web-1", "namespace": "shop"}),
    "kevents": ("LAST SEEN   TYPE      REASON       OBJECT        MESSAGE\n12m         Warning   SystemOOM    node/n3       System OOM encountered, victim process: stress, pid: 470521\n5m          Warning   Evicted      pod/prep-0    The node was low on resource: memory. Threshold quantity: 100Mi, available: 77712Ki. Container prep was using 6912864Ki, request is 0, has larger consumption of memory.\n", "kubelet", "kubelet", {"pod": "prep-0", "container": "prep", "used": "6912864Ki", "available": "77712Ki"}),
    "kevicted": ("Name:           prep-0\nNamespace:      default\nStatus:         Failed\nReason:         Evicted\nMessage:        The node was low on resource: memory. Threshold quantity: 100Mi, available: 77712Ki. Container prep was using 6912864Ki, request is 0, has larger consumption of memory.\n", "kubelet", "kubelet", {"pod": "prep-0", "namespace": "default", "container": "prep"}),
    "dinspect": ('[\n    {\n        "Id": "5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724",\n        "Created": "2026-03-01T09:50:00.123456789Z",\n        "Path": "python",\n        "State": {\n            "Status": "exited",\n            "Running": false,\n            "Paused": false,\n            "OOMKilled": true,\n            "Dead": false,\n            "Pid": 0,\n            "ExitCode": 137,\n            "StartedAt": "2026-03-01T09:59:00.123456789Z",\n            "FinishedAt": "2026-03-01T10:00:00.123456789Z"\n        },\n        "Name": "/web",\n        "HostConfig": {\n            "Memory": 536870912,\n            "MemorySwap": 1073741824\n        }\n    }\n]\n', "kernel", "docker", {"container": "web", "limit": "536870912", "exit": "137"}),
    "devents": ("2026-03-01T10:00:00.123456789Z container oom 5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724 (image=prep:1, name=web)\n2026-03-01T10:00:00.223456789Z container die 5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724 (exitCode=137, image=prep:1, name=web)\n", "kernel", "docker", {}),
    "sacct": ("JobID           JobName  Partition    Account  AllocCPUS      State ExitCode\n------------ ---------- ---------- ---------- ---------- ---------- --------\n4711               prep        cpu       grp          4 OUT_OF_ME+    0:125\n4711.batch        batch                  grp          4 OUT_OF_ME+    0:125\n", "slurm", "slurm", {"job": "4711"}),
    "sacct2": ("JobID|State|ExitCode|ReqMem|MaxRSS\n4711|OUT_OF_MEMORY|0:125|8G|\n4711.batch|OUT_OF_MEMORY|0:125||8123456K\n", "slurm", "slurm", {"job": "4711", "limit": "8G", "used": "8123456K"}),
    "seff": ("Job ID: 4711\nCluster: c\nUser/Group: ann/grp\nState: OUT_OF_MEMORY (exit code 0)\nCores: 4\nCPU Utilized: 00:10:00\nMemory Utilized: 7.90 GB\nMemory Efficiency: 98.77% of 8.00 GB\n", "slurm", "slurm", {"job": "4711", "used": "7.90 GB", "limit": "8.00 GB"}),
    "slurmold": ("slurmstepd: error: Step 4711.0 exceeded memory limit (8400000 > 8388608), being killed\nslurmstepd: error: Exceeded job memory limit\nsrun: error: n7: task 0: Killed\n", "slurm", "slurm-limit", {"job": "4711", "used": "8400000K"}),
    # Slurm 22.05 of Debian 12, here: a step over --mem=100M, with task/cgroup and with OverMemoryKill.
    "slurm22": ("step 1\nslurmstepd-localhost: error: Detected 1 oom-kill event(s) in StepId=1.0. Some of your processes may have been killed by the cgroup out-of-memory handler.\nsrun: error: localhost: task 0: Out Of Memory\nsrun 1\n", "slurm", "slurm", {"job": "1", "step": "0", "node": "localhost"}),
    "slurm22acct": ("srun: job 4 queued and waiting for resources\nsrun: job 4 has been allocated resources\nslurmstepd-localhost: error: StepId=4.0 exceeded memory limit (213737472 > 104857600), being killed\nsrun: Exceeded job memory limit\nsrun: Job step aborted: Waiting up to 32 seconds for job step to finish.\nslurmstepd-localhost: error: *** STEP 4.0 ON localhost CANCELLED AT 2026-11-29T12:17:03 ***\nsrun: error: localhost: task 0: Killed\n", "slurm", "slurm-limit", {"job": "4", "step": "0", "used": "213737472", "limit": "104857600"}),
    "slurm22queue": ("             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n                 2       all  python3     root OO       0:01      1 (OutOfMemory)\n", "slurm", "slurm-status", {"job": "2"}),
    "slurm22ctld": ("[2026-11-29T12:16:55.223] _job_complete: JobId=2 OOM failure\n", "slurm", "slurm", {"job": "2"}),
    "lsf": ("Sender: LSF System <lsfadmin@n7>\nSubject: Job 4711: <prep> in cluster <c> Exited\n\nJob <prep> was submitted from host <login> by user <ann> in cluster <c>.\nTERM_MEMLIMIT: job killed after reaching LSF memory usage limit.\nExited with exit code 1.\n\nResource usage summary:\n\n    CPU time :                                   60.00 sec.\n    Max Memory :                                 4096 MB\n    Average Memory :                             2048.00 MB\n    Total Requested Memory :                     4096.00 MB\n", "lsf", "lsf", {"job": "4711", "used": "4096 MB"}),
    "pbs": ("=>> PBS: job killed: mem 8405120kb exceeded limit 8388608kb\nTerminated\n", "pbs", "pbs", {"used": "8405120kb", "limit": "8388608kb"}),
    "condor": ("012 (4711.000.000) 2026-03-01 10:00:00 Job was held.\n\tError from slot1_3@n12: Job has gone over cgroup memory limit of 2048 megabytes. Last measured usage: 2041 megabytes.  Consider resubmitting with a higher request_memory.\n\tCode 34 Subcode 0\n", "htcondor", "htcondor", {"used": "2041M"}),
    "yarn": ("26/03/01 10:00:00 WARN YarnAllocator: Container killed by YARN for exceeding memory limits. 9.8 GB of 9.8 GB physical memory used. Consider boosting spark.yarn.executor.memoryOverhead.\n", "yarn", "yarn", {"used": "9.8 GB"}),
    "yarn2": ("Diagnostics: [2026-03-01 10:00:00.123]Container [pid=4210,containerID=container_1_0001_01_000002] is running 12345B beyond the 'PHYSICAL' memory limit. Current usage: 2.0 GB of 2 GB physical memory used; 4.1 GB of 4.2 GB virtual memory used. Killing container.\n", "yarn", "yarn", {"container": "container_1_0001_01_000002", "limit": "2 GB"}),
    "spark": ("ERROR TaskSchedulerImpl: Lost executor 3 on n7: Container killed by YARN for exceeding physical memory limits. 9.8 GB of 9.8 GB physical memory used. Consider boosting.\n", "yarn", "yarn", {"limit": "9.8 GB"}),
    "ray": ("ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.\nMemory on the node (IP: 10.0.0.2, ID: ef) where the task (task ID: c8, name=prep, pid=4711, memory used=5.10GB) was running was 15.21GB / 16.00GB (0.950625), which exceeds the memory usage threshold of 0.95. Ray killed this worker (ID: 1) because it was the most recently scheduled task; to see more information about memory usage on this node, use `ray logs raylet.out -ip 10.0.0.2`.\n", "ray", "ray", {"node": "10.0.0.2"}),
    "raycolor": ("\x1b[2m\x1b[36m(raylet)\x1b[0m [2026-03-01 10:00:00,123 E 811 811] (raylet) node_manager.cc:3064: 12 Workers (tasks / actors) killed due to memory pressure (OOM), 0 Workers crashed due to other reasons at node (ID: ef, IP: 10.0.0.9) over the last time period. To see more information about the Workers killed on this node, use `ray logs raylet.out -ip 10.0.0.9`\n", "ray", "ray", {"node": "10.0.0.9"}),
    "rayplain": ("ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.\n", "ray", "ray", {}),
    "ecs": ('{ "containers": [ { "name": "prep", "lastStatus": "STOPPED", "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage" } ] }\n', "kernel", "ecs", {"container": "prep"}),
    "cloudrun": ("2026-03-01 10:00:00.123 CET\nMemory limit of 512 MiB exceeded with 515 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits\n", "cloud-run", "cloud-run", {"limit": "512 MiB", "used": "515 MiB"}),
    "cloudrunjson": ('{"textPayload":"Memory limit of 512 MiB exceeded with 515 MiB used. Consider increasing the memory limit, see https://cloud.google.com/run/docs/configuring/memory-limits","resource":{"type":"cloud_run_revision","labels":{"service_name":"prep"}},"timestamp":"2026-03-01T10:00:00.123Z","severity":"ERROR"}\n', "cloud-run", "cloud-run", {"limit": "512 MiB"}),
    "heroku": ("2026-03-01T10:00:00.000000+00:00 heroku[worker.1]: Process running mem=1055M(206.1%)\n2026-03-01T10:00:00.000000+00:00 heroku[worker.1]: Error R15 (Memory quota vastly exceeded)\n2026-03-01T10:00:00.000000+00:00 heroku[worker.1]: Stopping process with SIGKILL\n", "heroku", "heroku", {"app": "worker"}),
    "lambda": ("START RequestId: 8f5 Version: $LATEST\nRequestId: 8f5 Error: Runtime exited with error: signal: killed\nRuntime.ExitError\nEND RequestId: 8f5\nREPORT RequestId: 8f5\tDuration: 2101.06 ms\tBilled Duration: 2102 ms\tMemory Size: 128 MB\tMax Memory Used: 129 MB\n", "lambda", "lambda", {"limit": "128 MB", "used": "129 MB"}),
    "sysctl": ("× prep.service - Prepare\n     Loaded: loaded (/etc/systemd/system/prep.service; enabled; preset: enabled)\n     Active: failed (Result: oom-kill) since Sun 2026-03-01 10:00:00 UTC; 5min ago\n   Duration: 1min 2.123s\n    Process: 4711 ExecStart=/usr/bin/python3 prep.py (code=killed, signal=KILL)\n   Main PID: 4711 (code=killed, signal=KILL)\n        CPU: 59.123s\n", "kernel", "systemd", {"unit": "prep.service"}),
    "vertex": ("The replica workerpool0-0 ran out-of-memory and exited with a non-zero status of 137(SIGKILL). To find out more about why your job exited please check the logs\n", "vertex", "vertex", {}),
    "colab": ("Your session crashed after using all available RAM.\n", "colab", "colab", {}),
    "kaggle": ("Your notebook tried to allocate more memory than is available. It has restarted.\n", "kaggle", "kaggle", {}),
    "memevents": ("low 0\nhigh 0\nmax 53\noom 3\noom_kill 2\noom_group_kill 0\n", "kernel", "memory.events", {}),
    "earlyoom50": ('mem avail:   165 of 31880 MiB ( 0.52%), swap free:    0 of 8191 MiB ( 0.00%)\nlow memory! at or below SIGTERM limits: mem 10.00%, swap 10.00%\nsending SIGTERM to process 12006 uid 1000 "prep": oom_score 1209, VmRSS 22891 MiB, cmdline "python prep.py"\nprocess 12006 exited after 0.3 seconds\n', "earlyoom", "earlyoom", {}),
    "containerd": ('Mar 01 10:00:00 n3 containerd[811]: time="2026-03-01T10:00:00.123456789Z" level=info msg="TaskOOM event container_id:\\"5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724\\""\n', "kernel", "kubernetes", {"container": "5954f621c17f"}),
    "argo": ("  message: OOMKilled (exit code 137)\n", "kernel", "kubernetes", {}),
    "snake": ("Error in rule align:\n    jobid: 3\n    cluster_jobid: 4711\nslurmstepd: error: Detected 1 oom_kill event in StepId=4711.batch. Some of the step tasks have been OOM Killed.\n", "slurm", "slurm", {"job": "4711"}),
    "jetsam": ("2026-03-01 10:00:00.123456+0100 localhost kernel[0]: (AppleARMPlatform) memorystatus: killing_top_process pid 4123 [python3.11] (vm-compressor-space-shortage 1) 2345678KB - memorystatus_available_pages: 1234\n", "macos", "macos", {}),
    "slurmmail": ("Slurm Job_id=81273 Name=train Ended, Run time 00:12:33, OUT_OF_MEMORY, ExitCode 0\n", "slurm", "slurm", {"job": "81273"}),
    "pbsprocg": ('Job 4711.pbs has exceeded memory allocation on node n7\nProcess "python3", pid 12345, rss 8589934592 killed\n', "pbs", "pbs", {"job": "4711.pbs", "used": "8589934592"}),
    "pbstorque2": ("=>> PBS: job killed: vmem 17179873280 exceeded limit 17179869184\n", "pbs", "pbs", {"limit": "17179869184"}),
    "condorqhold": ("-- Schedd: submit.example.org : <10.0.0.1:9618>\n ID      OWNER          HELD_SINCE  HOLD_REASON\n4711.0   ann             3/1  10:00 Error from slot1_1@n12: Job has gone over cgroup memory limit of 4096 megabytes. Last measured usage: 4013 megabytes.  Consider resubmitting with a higher request_memory.\n", "htcondor", "htcondor", {"job": "4711.0", "used": "4013M"}),
    "sparkexec": ("26/03/01 10:00:00 ERROR YarnScheduler: Lost executor 3 on n7: Container killed by YARN for exceeding memory limits.  9.8 GB of 9.8 GB physical memory used. Consider boosting spark.yarn.executor.memoryOverhead or disabling yarn.nodemanager.vmem-check-enabled because of YARN-4714.\n", "yarn", "yarn", {"limit": "9.8 GB"}),
    "k8sjsonpathmap": ("map[terminated:map[containerID:containerd://5954f621c17f exitCode:137 finishedAt:2026-03-01T10:00:05Z reason:OOMKilled startedAt:2026-03-01T10:00:00Z]]\n", "kernel", "kubernetes", {"finished": "2026-03-01T10:00:05Z"}),
    "k8scustomcol": ("POD     CONTAINER  REASON\nweb-1   prep       OOMKilled\n", "kernel", "kubernetes", {"pod": "web-1", "container": "prep"}),
    "argowf": ("STEP          TEMPLATE  PODNAME       DURATION  MESSAGE\n ✖ prep-x9    main      prep-x9-123   12s       OOMKilled (exit code 137)\n", "kernel", "kubernetes", {}),
    "kubeflow": ("This step is in Failed state with this message: OOMKilled (exit code 137)\n", "kernel", "kubernetes", {}),
    "flyte": ("[1/1] currentAttempt done. Last Error: USER::OOMKilled\nContainer [prep] terminated with exit code (137). Reason [OOMKilled]. Message:\n", "kernel", "kubernetes", {"container": "prep"}),
    "k8spodstatusevicted": ("Status:           Failed\nReason:           Evicted\nMessage:          Pod The node was low on resource: [MemoryPressure]. \n", "kubelet", "kubelet", {}),
    "lambda2": ('{"time":"2026-03-01T10:00:00Z","type":"platform.report","record":{"requestId":"8f5","status":"error","errorType":"Runtime.OutOfMemory","metrics":{"durationMs":2101.06,"memorySizeMB":128,"maxMemoryUsedMB":128}}}\n', "lambda", "lambda", {"used": "128M"}),
    "awsbatch": ('"statusReason": "Essential container in task exited", "container": { "exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage" }\n', "kernel", "ecs", {}),
    "hfspace2": ("runtime error\nExit code: 137. Reason: Memory limit exceeded (16Gi)\n", "huggingface-space", "huggingface-space", {"limit": "16Gi"}),
    "render": ("Instance failed: x Ran out of memory (used over 512MB) while running your code.\n", "render", "render", {"limit": "512MB"}),
    "fly2": ("Process appears to have been OOM killed!\n", "kernel", "fly", {}),
    "glue2": ("Command Failed due to Out of Memory\n", "glue", "glue", {}),
}  # fmt: skip
# A SIGKILL whose reason is not told, or a limit other than the host's memory: text, whose words, pid.
NOTICES: dict[str, tuple[str, str, int | None]] = {
    "dataloader": ('Traceback (most recent call last):\n  File "train.py", line 10, in <module>\nRuntimeError: DataLoader worker (pid 1817) is killed by signal: Killed. \n', "dataloader", 1817),
    "bus": ("ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).\nRuntimeError: DataLoader worker (pid 1817) is killed by signal: Bus error. It is possible that dataloader's workers are out of shared memory. Please try to raise your shared memory limit.\n", "shm", 1817),
    "torchrun": ("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \ntrain.py FAILED\nRoot Cause (first observed failure):\n[0]:\n  time      : 2026-03-01_10:00:00\n  host      : n7\n  rank      : 1 (local_rank: 1)\n  exitcode  : -9 (pid: 4711)\n  error_file: <N/A>\n  traceback : Signal 9 (SIGKILL) received by PID 4711\n", "torchrun", 4711),
    "torchrun2": ("ERROR:torch.distributed.elastic.multiprocessing.api:failed (exitcode: -9) local_rank: 0 (pid: 4711) of binary: /usr/bin/python3\n", "torchrun", 4711),
    "deepspeed": ("[2026-03-01 10:00:00,123] [INFO] [launch.py:319:sigkill_handler] Killing subprocess 4711\n[2026-03-01 10:00:00,123] [ERROR] [launch.py:325:sigkill_handler] ['/usr/bin/python3', '-u', 'train.py'] exits with return code = -9\n", "torchrun", None),
    "cuda": ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB\n", "gpu", None),
    "java": ('Exception in thread "main" java.lang.OutOfMemoryError: Java heap space\n\tat java.base/java.util.Arrays.copyOf(Arrays.java:3537)\n', "java", None),
    "node": ("<--- Last few GCs --->\n[811:0x1]    61 ms: Mark-sweep 2046.1 (2078.1) -> 2045.9 (2079.1) MB\nFATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\nAborted (core dumped)\n", "node", None),
    "numpy": ("numpy.core._exceptions.MemoryError: Unable to allocate 14.9 GiB for an array with shape (2000000000,) and data type float64\n", "refused", None),
    "gcc": ("g++: fatal error: Killed signal terminated program cc1plus\ncompilation terminated.\nmake[2]: *** [CMakeFiles/x.dir/build.make:76: a.o] Error 1\n", "compiler", None),
    "make": ("make: *** [Makefile:3: all] Killed\n", "make", None),
    "celery": ("[2026-03-01 10:00:00,123: ERROR/MainProcess] Process 'ForkPoolWorker-1' pid:4711 exited with 'signal 9 (SIGKILL)'\n[2026-03-01 10:00:00,123: ERROR/MainProcess] Task handler raised error: WorkerLostError('Worker exited prematurely: signal 9 (SIGKILL) Job: 0.')\n", "celery", 4711),
    "brokenpool": ("concurrent.futures.process.BrokenProcessPool: A process in the process pool was terminated abruptly while the future was running or pending.\n", "pool", None),
    "loky": ("joblib.externals.loky.process_executor.TerminatedWorkerError: A worker process managed by the executor was unexpectedly terminated. This could be caused by a segmentation fault while calling the function or by an excessive memory usage causing the Operating System to kill the worker.\n\nThe exit codes of the workers are {SIGKILL(-9)}\n", "pool", None),
    "killed": ("$ python prep.py\nKilled\n", "shell", None),
    "killed2": ("./run.sh: line 3: 12345 Killed                  python prep.py\n", "shell", 12345),
    "pg": ("2026-03-01 10:00:00.123 UTC [1] LOG:  server process (PID 4711) was terminated by signal 9: Killed\n", "postgres", 4711),
    "uwsgi": ("DAMN ! worker 1 (pid: 4711) died, killed by signal 9 :( trying respawn ...\n", "uwsgi", 4711),
    "timev": ('Command terminated by signal 9\n\tCommand being timed: "python prep.py"\n\tUser time (seconds): 59.01\n\tMaximum resident set size (kbytes): 31234567\n', "time", None),
    "nextflow": ("Error executing process > 'align (1)'\n\nCaused by:\n  Process `align (1)` terminated with an error exit status (137)\n\nCommand executed:\n\n  bwa mem\n\nCommand exit status:\n  137\n", "workflow", None),
    "gl": ("ERROR: Job failed: exit code 137\n", "ci", None),
    "gunicorn": ("[2026-03-01 10:00:00 +0000] [7] [ERROR] Worker (pid:4711) was sent SIGKILL! Perhaps out of memory?\n", "gunicorn", 4711),
    "datasets": ("RuntimeError: One of the subprocesses has abruptly died during map operation.To debug the error, disable multiprocessing.\n", "datasets", None),
    "airflow": ("[2026-03-01, 10:00:00 UTC] {local_task_job_runner.py:240} INFO - Task exited with return code Negsignal.SIGKILL\n", "subprocess", None),
    "mpi": ("mpirun noticed that process rank 3 with PID 4711 on node n7 exited on signal 9 (Killed).\n", "mpi", 4711),
    "dockerbuild": ('ERROR: failed to solve: process "/bin/sh -c npm run build" did not complete successfully: exit code: 137\n', "docker-exit", None),
    "compose": ("web-1 exited with code 137\n", "docker-exit", None),
    "dps": ('CONTAINER ID   IMAGE     COMMAND            CREATED         STATUS                       PORTS     NAMES\n5954f621c17f   prep:1    "python prep.py"   5 minutes ago   Exited (137) 2 minutes ago             web\n', "docker-exit", None),
    "jupyter": ("[I 2026-03-01 10:00:00.123 ServerApp] AsyncIOLoopKernelRestarter: restarting kernel (1/5), keep random ports\n", "jupyter", None),
    "xdist": ("[gw3] node down: Not properly terminated\nreplacing crashed worker gw3\n", "pytest-xdist", None),
    "rsession": ("Error: cannot allocate vector of size 3.0 Gb\n", "refused", None),
    "celery2": ("[2026-03-01 10:00:00,123: ERROR/MainProcess] Process 'ForkPoolWorker-1' pid:4711 exited with 'signal 9 (SIGKILL)'\n", "celery", 4711),
    "elasticwarn": ("W0301 10:00:00.123000 4700 torch/distributed/elastic/multiprocessing/api.py:900] Sending process 4712 closing signal SIGTERM\nE0301 10:00:00.223000 4700 torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: -9) local_rank: 0 (pid: 4711) of binary: /usr/bin/python\n", "torchrun", 4711),
    "spawn": ("torch.multiprocessing.spawn.ProcessExitedException: process 0 terminated with signal SIGKILL\n", "torchrun", None),
    "clang": ("clang: error: unable to execute command: Killed\nclang: error: clang frontend command failed due to signal (use -v to see invocation)\n", "compiler", None),
    "prefect": ("10:00:00.123 | ERROR   | prefect.flow_runs.runner - Process for flow run 'x' exited with status code: -9; This indicates that the process exited due to a SIGKILL signal. Typically, this is either caused by manual cancellation or high memory usage causing the operating system to terminate the process.\n", "subprocess", None),
    "dockerdie": ("2026-03-01T10:00:05.223456789+01:00 container die 5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724 (execDuration=5, exitCode=137, image=prep:1, name=web)\n", "docker-exit", None),
    "gharunner2": ("The self-hosted runner: arc-runner-7 lost communication with the server. Verify the machine is running and has a healthy network connection. Anything in your workflow that terminates the runner process, starves it for CPU/Memory, or blocks its network access can cause this error.\n", "ci", None),
    "gha143": ("2026-03-01T10:00:00.1234567Z ##[error]The runner has received a shutdown signal. This can happen when the runner service is stopped, or a manually started runner is canceled.\n2026-03-01T10:00:00.1234567Z ##[error]Process completed with exit code 143.\n", "ci", None),
    "azuredev2": ("##[error]We stopped hearing from agent Azure Pipelines 7. Verify the agent machine is running and has a healthy network connection. Anything that terminates an agent process, starves it for CPU, or blocks its network access can cause this error.\n", "ci", None),
    "circleci2": ('Received "killed" signal\n', "ci", None),
    "databricks": ("Fatal error: The Python kernel is unresponsive.\nThe Python process exited with exit code 137 (SIGKILL: Killed). This may have been caused by an OOM error. Check your command's memory usage.\n", "exit-137", None),
    "pycharm": ("Process finished with exit code 137 (interrupted by signal 9: SIGKILL)\n", "exit-137", None),
    "vertex2": ("The replica workerpool0-0 exited with a non-zero status of 137(SIGKILL).\n", "exit-137", None),
    "systemdkill9": ("Mar 01 10:00:00 h systemd[1]: prep.service: Main process exited, code=killed, status=9/KILL\nMar 01 10:00:00 h systemd[1]: prep.service: Failed with result 'signal'.\n", "systemd-exit", None),
    "vscodekernel": ("The Kernel crashed while executing code in the current cell or a previous cell. \nPlease review the code in the cell(s) to identify a possible cause of the failure. \nClick here for more info. \nView Jupyter log for further details.\n", "vscode", None),
    "vscodeext": ("[error] Extension host (LocalProcess pid: 4711) terminated unexpectedly. Code: null, Signal: SIGKILL\n", "vscode", 4711),
    "arrow": ("pyarrow.lib.ArrowMemoryError: malloc of size 17179869184 failed\n", "refused", None),
    "duckdb": ("duckdb.duckdb.OutOfMemoryException: Out of Memory Error: could not allocate block of size 256.0 KiB (12.7 GiB/12.7 GiB used)\n", "duckdb", None),
    "raystore": ("ray.exceptions.ObjectStoreFullError: Failed to put object 00ff in object store because it is full. Object size is 1234567 bytes.\n", "ray-store", None),
    "shm": ("RuntimeError: unable to write to file </torch_4711_3f>\nOSError: [Errno 28] No space left on device: '/dev/shm/torch_4711'\n", "shm", None),
    "daskpause": ("2026-03-01 10:00:00,123 - distributed.worker.memory - WARNING - Worker is at 80% memory usage. Pausing worker.  Process memory: 3.12 GiB -- Worker memory limit: 3.91 GiB\n", "dask-paused", None),
    "daskunmanaged": ("2026-03-01 10:00:00,123 - distributed.worker.memory - WARNING - Unmanaged memory use is high. This may indicate a memory leak or the memory may not be released to the OS; see https://distributed.dask.org/en/latest/worker-memory.html#memory-not-released-back-to-the-os for more information. -- Unmanaged memory: 2.80 GiB -- Worker memory limit: 3.91 GiB\n", "dask-paused", None),
    "herokur14": ("2026-03-01T10:00:00.000000+00:00 heroku[web.1]: Process running mem=522M(102.0%)\n2026-03-01T10:00:00.000000+00:00 heroku[web.1]: Error R14 (Memory quota exceeded)\n", "heroku-quota", None),
}  # fmt: skip


@pytest.mark.parametrize("name", KILLS)
def test_a_kill_with_what_the_text_tells_of_it(tmp_path: Path, name: str) -> None:
    text, killer, told_by, facts = KILLS[name]
    log = tmp_path / "pasted.txt"
    log.write_text(text)
    answer = diagnose(log)
    assert (answer.verdict, answer.killer) == ("proved", killer)
    kill = answer.others[0]
    assert kill.told_by == told_by
    assert {key: kill.facts.get(key) for key in facts} == facts
    assert len(answer.advice) > 1
    assert str(answer.render()).count("{") == 0


@pytest.mark.parametrize("name", NOTICES)
def test_what_is_passed_on(tmp_path: Path, name: str) -> None:
    """Nothing is proved; the pid is used, and where to look is said."""
    text, told_by, pid = NOTICES[name]
    log = tmp_path / "pasted.txt"
    log.write_text(text)
    answer = diagnose(log)
    assert (answer.verdict, answer.killer, answer.found) == ("none", None, 0)
    notice = answer.notices[0]
    assert (notice.told_by, notice.pid) == (told_by, pid)
    commands = [step.command or "" for step in answer.advice]
    if notice.says == "sigkill":
        assert commands[0] == f"sudo $(command -v oomguard) diagnose{f' --pid {pid}' if pid else ''}"
    screen = " ".join(str(answer.render()).split())
    assert ("who sent SIGKILL" in screen) == (notice.says == "sigkill")
    assert "137 only" not in screen


OTHER_SYSTEMS = ("freebsd", "macos", "lmkd")


@pytest.mark.parametrize("ident", OTHER_SYSTEMS)
def test_where_oomguard_does_not_run_it_is_no_advice(tmp_path: Path, ident: str) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(f"{BY_IDENT[ident].wordings[0].example}\n")
    answer = diagnose(log)
    assert answer.others[0].told_by == ident
    assert answer.advice
    assert not any("oomguard" in (step.command or "") for step in answer.advice)


def test_the_unit_is_in_the_command(tmp_path: Path) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(NOTICES["systemdkill9"][0])
    assert any((step.command or "").startswith("systemctl show prep.service -p") for step in diagnose(log).advice)


def test_a_process_and_a_thread_are_no_part_of_a_time(tmp_path: Path) -> None:
    """Ray's logs: [TIME LEVEL PROCESS THREAD]."""
    log = tmp_path / "pasted.txt"
    log.write_text(KILLS["raycolor"][0].partition("\x1b[0m ")[2])
    when = diagnose(log).others[0].time
    assert when is not None
    assert when.text == "2026-03-01 10:00:00,123"


def test_newer_systemd_says_it_otherwise(tmp_path: Path) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(
        "Aug 07 01:00:57 h systemd[1]: prep.service: The kernel OOM killer killed some processes in this unit.\n"
    )
    answer = diagnose(log)
    assert (answer.verdict, answer.killer, answer.units[0].unit) == ("likely", "kernel", "prep.service")


def test_the_peak_that_time_measured(tmp_path: Path) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(NOTICES["timev"][0])
    assert "up to 29.8 GiB" in str(diagnose(log).render())


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("sacct2", "sbatch --mem=12G JOB.sh"), ("seff", "sbatch --mem=12G JOB.sh"), ("slurmold", "sbatch --mem=13G JOB.sh"),
        ("lsf", "bsub -M 6G -R 'rusage[mem=6G]' ./JOB.sh"), ("pbs", "qsub -l select=1:mem=13gb JOB.sh"), ("condor", "request_memory = 3072"),
        ("dinspect", "docker update --memory 768m --memory-swap 768m web"), ("lambda", "--memory-size 256"),
        ("cloudrun", "--memory 832Mi"),
    ],
)  # fmt: skip
def test_the_number_to_ask_for(tmp_path: Path, name: str, command: str) -> None:
    """Half as much again as was used or allowed, where the text tells it."""
    log = tmp_path / "pasted.txt"
    log.write_text(KILLS[name][0])
    assert any(command in (step.command or "") for step in diagnose(log).advice)


QUEUE = "             JOBID PARTITION     NAME     USER ST       TIME  NODES NODELIST(REASON)\n              4711       cpu     prep      ann OOM       0:12      1 n7\n"
SACCT = "4711               prep        cpu       grp          4 OUT_OF_ME+    0:125\n4711.batch        batch               ann          4 OUT_OF_ME+    0:125\n"
STEP = (
    "slurmstepd: error: Detected 1 oom_kill event in StepId=4711.batch. Some of the step tasks have been OOM Killed.\n"
)
SNAKEMAKE = (
    "    message: SLURM-job '4711' failed, SLURM status is: 'OUT_OF_MEMORY'. For further error details see the log.\n"
)
KERNEL = (
    "Mar  1 10:00:00 n7 kernel: python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    "Mar  1 10:00:00 n7 kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/slurm/uid_1000/job_4711,"
    "task_memcg=/slurm/uid_1000/job_4711/step_batch,task=python3,pid=4242,uid=1000\n"
    "Mar  1 10:00:00 n7 kernel: Memory cgroup out of memory: Killed process 4242 (python3) total-vm:10000kB, anon-rss:9000kB, file-rss:0kB, "
    "shmem-rss:0kB, UID:1000 pgtables:100kB oom_score_adj:0\n"
)


@pytest.mark.parametrize(
    "texts",
    [(QUEUE, SACCT), (SACCT, QUEUE), (STEP, QUEUE), (STEP, SNAKEMAKE), (QUEUE, STEP, SACCT), (QUEUE, KERNEL), (STEP, KERNEL)],
)  # fmt: skip
def test_one_job_is_one_kill_whatever_tells_of_it(tmp_path: Path, texts: tuple[str, ...]) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text("".join(texts))
    answer = diagnose(log)
    assert (answer.verdict, answer.found) == ("proved", 1)


def test_two_jobs_are_two_kills(tmp_path: Path) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(QUEUE + SACCT.replace("4711", "4712"))
    assert diagnose(log).found == 2


LIMIT = "slurmstepd: error: StepId=4711.0 exceeded memory limit (213737472 > 104857600), being killed\n"
SRUN_LIMIT = "srun: Exceeded job memory limit\n"


@pytest.mark.parametrize("texts", [(LIMIT, SACCT), (SACCT, LIMIT), (LIMIT, QUEUE), (QUEUE, LIMIT), (SRUN_LIMIT, SACCT)])
def test_a_job_that_slurm_itself_ended_is_one_kill_by_slurm(tmp_path: Path, texts: tuple[str, ...]) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text("".join(texts))
    answer = diagnose(log)
    assert answer.found == 1
    assert "Slurm, because the job exceeded its memory limit" in str(answer.render())


def test_a_job_that_slurm_ended_and_another_in_the_accounting_are_two_kills(tmp_path: Path) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(LIMIT + SACCT.replace("4711", "4712"))
    assert diagnose(log).found == 2


@pytest.mark.parametrize("texts", [(QUEUE, SACCT), (SACCT, QUEUE)])
def test_a_list_of_jobs_and_another_of_the_same(tmp_path: Path, texts: tuple[str, ...]) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text("".join(text + text.replace("4711", "4712") for text in texts))
    answer = diagnose(log)
    assert {kill.facts["job"] for kill in answer.others} == {"4711", "4712"}
    assert answer.found == 2


HOSTILE = "x;reboot;.service"


def words_of(command: str) -> list[str]:
    return list(shlex.shlex(command, posix=True, punctuation_chars=True))


@pytest.mark.parametrize("killer", KILLERS, ids=lambda killer: killer.ident)
def test_no_text_of_a_log_is_a_command_of_its_own(killer: Killer) -> None:
    """A command is there to be pasted: whatever a log names is one word of it."""
    keys = {fact.key for fact in killer.facts} | {
        group for each in killer.wordings for group in each.pattern.groupindex
    }
    kill = OtherKill(
        killer=killer.blamed, told_by=killer.ident, time=None, pid=4711, name=HOSTILE, cgroup=f"/user@1000/app-{HOSTILE}",
        processes=None, rss=None, reason=None, line="", facts=dict.fromkeys(keys, HOSTILE),
    )  # fmt: skip
    for step in killer.advise(kill):
        assert "reboot" not in words_of(step.command or ""), step.command


def test_the_units_name_is_one_word_of_the_command(tmp_path: Path) -> None:
    log = tmp_path / "pasted.txt"
    log.write_text(f"Id={HOSTILE}\nResult=oom-kill\n")
    commands = [step.command or "" for step in diagnose(log).advice]
    assert f"systemctl show '{HOSTILE}' -p Result,MemoryMax,MemoryPeak,OOMPolicy" in commands


# What `sacct -j 1` of Slurm 22.05 printed of a job whose step the kernel had killed at --mem=100M.
SACCT_TABLES = {
    "the usual columns": "JobID           JobName  Partition    Account  AllocCPUS      State ExitCode \n------------ ---------- ---------- ---------- ---------- ---------- -------- \n1               prep.sh        all       root          1  COMPLETED      0:0 \n1.batch           batch                  root          1  COMPLETED      0:0 \n1.0             python3                  root          1 OUT_OF_ME+    0:125 \n",
    "parsable": "JobID|JobName|Partition|Account|AllocCPUS|State|ExitCode\n1|prep.sh|all|root|1|COMPLETED|0:0\n1.batch|batch||root|1|COMPLETED|0:0\n1.0|python3||root|1|OUT_OF_MEMORY|0:125\n",
    "memory": "JobID             State ExitCode     ReqMem     MaxRSS \n------------ ---------- -------- ---------- ---------- \n1             COMPLETED      0:0       100M            \n1.batch       COMPLETED      0:0                       \n1.0          OUT_OF_ME+    0:125                       \n",
}  # fmt: skip


@pytest.mark.parametrize("name", SACCT_TABLES)
def test_a_step_in_the_accounting(tmp_path: Path, name: str) -> None:
    log = tmp_path / "sacct.txt"
    log.write_text(SACCT_TABLES[name])
    answer = diagnose(log)
    assert (answer.verdict, answer.found) == ("proved", 1)
    facts = answer.others[0].facts
    assert (facts["job"], facts["step"]) == ("1", "0")
    assert facts.get("limit") == ("100M" if name == "memory" else None)
    assert any(
        step.command == f"sbatch --mem={'192M' if name == 'memory' else 'SIZE'} JOB.sh" for step in answer.advice
    )


def test_all_columns_of_the_accounting(tmp_path: Path) -> None:
    """`sacct --long`: more than two hundred characters stand between the job and its state."""
    log = tmp_path / "sacct.txt"
    log.write_text(f"4711.0       4711.0          python3{'':380}1   00:00:01 OUT_OF_ME+    0:125{'':400}\n")
    assert diagnose(log).others[0].facts["job"] == "4711"


def test_memory_for_each_processor_is_no_limit_of_the_job(tmp_path: Path) -> None:
    log = tmp_path / "sacct.txt"
    log.write_text("JobID State ExitCode ReqMem MaxRSS\n4711.batch OUT_OF_ME+ 0:125 4Gc 7811340K\n")
    assert "limit" not in diagnose(log).others[0].facts


ACCOUNTING = {
    "memory before the state": (
        "JobID           JobName     MaxRSS     ReqMem    Elapsed      State \n"
        "------------ ---------- ---------- ---------- ---------- ---------- \n"
        "4710             prep                    200M   00:00:11  COMPLETED \n"
        "4710.batch        batch     81234K               00:00:11  COMPLETED \n"
        "4711               prep                    2G   00:01:12 OUT_OF_ME+ \n"
        "4711.batch        batch   2011234K              00:01:12 OUT_OF_ME+ \n"
        "4711.0          python3    101234K              00:01:12  COMPLETED \n"
        "4712               prep                    9G   00:01:12  COMPLETED \n"
    ),
    "the state first": ("State|JobID|MaxRSS|ReqMem\nOUT_OF_MEMORY|4711||2Gn\nOUT_OF_MEMORY|4711.batch|2011234K|2Gn\n"),
    "a user first": (
        "User|JobID|State|ReqMem|MaxRSS\nann|4711|OUT_OF_MEMORY|2G|\n|4711.batch|OUT_OF_MEMORY||2011234K\n"
    ),
}


@pytest.mark.parametrize("name", ACCOUNTING)
def test_columns_of_the_accounting_are_read_by_their_heads(tmp_path: Path, name: str) -> None:
    log = tmp_path / "sacct.txt"
    log.write_text(ACCOUNTING[name])
    answer = diagnose(log)
    facts = answer.others[0].facts
    assert (answer.found, facts["job"], facts["limit"], facts["used"]) == (1, "4711", "2G", "2011234K")
    assert "sbatch --mem=3G JOB.sh" in [step.command for step in answer.advice]
