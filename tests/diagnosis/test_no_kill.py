"""Texts about kills, or beside them, in which nothing was killed for lack of memory: no kill is named, and at most one end without a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.api import diagnose

if TYPE_CHECKING:
    from pathlib import Path

# Written by hand in the form of each. Name: text.
TEXTS: dict[str, str] = {
    "rca": (
        "Incident 4711: API pods restarted\n"
        "\n"
        "Timeline (UTC)\n"
        "- 10:00 alert KubePodCrashLooping fired for web-1\n"
        "- 10:05 ann: kubectl describe shows the pods had been OOMKilled\n"
        "- 10:20 limit raised from 512Mi to 1Gi\n"
        "\n"
        "Root cause: the pods were OOMKilled since the cache grew without bound. Exit code was 137 on all of them.\n"
        "Action items: add an alert on OOMKilled, run a load test.\n"
    ),
    "dash": (
        '{"title":"OOM kills","targets":[{"expr":"increase(node_vmstat_oom_kill[5m])","legendFormat":"{{instance}} oom_kill"}],"thresholds":[{"value":1,"color":"red"}],"fieldConfig":{"defaults":{"displayName":"OOMKilled"}}}\n'
    ),
    "alertresolved": (
        "[RESOLVED] KubeContainerOOMKilled\n"
        "Labels: alertname=KubeContainerOOMKilled container=prep namespace=shop pod=web-1 reason=OOMKilled severity=warning\n"
        "Annotations: Container prep in pod web-1 was OOMKilled 0 times in the last 10 minutes\n"
        "Status: resolved\n"
    ),
    "alertrule": (
        "groups:\n"
        "- name: oom\n"
        "  rules:\n"
        "  - alert: OOMKilled\n"
        '    expr: (kube_pod_container_status_restarts_total - kube_pod_container_status_restarts_total offset 10m >= 1) and ignoring (reason) min_over_time(kube_pod_container_status_last_terminated_reason{reason="OOMKilled"}[10m]) == 1\n'
        "    annotations:\n"
        "      summary: Container {{ $labels.container }} was OOMKilled\n"
        '      description: "Last State: Terminated, Reason: OOMKilled"\n'
    ),
    "man": (
        "PROC(5)                    Linux Programmer's Manual                    PROC(5)\n"
        "\n"
        "       /proc/[pid]/oom_score\n"
        "              This file displays the current score that the kernel gives to this process for the purpose of selecting a process for the OOM-killer.  A higher score means\n"
        "              that the process is more likely to be selected by the OOM-killer.  oom_kill_allocating_task: if nonzero the OOM killer kills the task which triggered the out-of-memory condition.\n"
        "       timeout: If the command times out, and --preserve-status is not set, then exit with status 124. It may be necessary to use the KILL signal, since this signal can't be caught, in which case the exit status is 128+9 (exit status 137) rather than 124.\n"
    ),
    "tutorial": (
        "# How to find OOM kills\n"
        "\n"
        "Run `dmesg -T | grep -i oom`. You will see lines such as:\n"
        "\n"
        "> Out of memory: Killed process <pid> (<name>) total-vm:...\n"
        "\n"
        "and for containers `Memory cgroup out of memory: Killed process ...`. In Kubernetes the pod shows `Reason: OOMKilled` and `Exit Code: 137`.\n"
    ),
    "pytest": (
        "tests/test_oom.py::test_oom_killed_is_reported PASSED                     [ 10%]\n"
        "tests/test_oom.py::test_killed_process_137[OOMKilled] PASSED              [ 20%]\n"
        "tests/test_oom.py::test_out_of_memory_killed_process PASSED               [ 30%]\n"
        "tests/test_kernel.py::test_invoked_oom_killer PASSED                      [ 40%]\n"
        "============================== 137 passed in 4.13s ==============================\n"
    ),
    "numbers": (
        "2026-03-01 10:00:00,123 INFO step 137 loss 1.37\n"
        "2026-03-01 10:00:01,123 INFO saved 137 documents, code 200\n"
        "2026-03-01 10:00:02,123 INFO request took 137 ms, status=200\n"
        "2026-03-01 10:00:03,123 INFO worker 9 signal strength 9\n"
        "exit code: 0\n"
    ),
    "zeroes": ("low 0\nhigh 137\nmax 4210\noom 0\noom_kill 0\noom_group_kill 0\n"),
    "vmstat": ("pgfault 4711\noom_kill 0\nnuma_hit 1\n"),
    "kget": (
        "NAME      READY   STATUS    RESTARTS      AGE\n"
        "web-1     1/1     Running   137 (2d ago)  30d\n"
        "oomkilled-test-1   1/1     Running   0   5d\n"
    ),
    "inspect": (
        '[{"Id":"5954f621c17f","State":{"Status":"running","OOMKilled":false,"ExitCode":0},"HostConfig":{"OomKillDisable":false,"OomScoreAdj":0,"Memory":536870912}}]\n'
    ),
    "compose": (
        "services:\n"
        "  web:\n"
        "    image: web:1\n"
        "    mem_limit: 512m\n"
        "    oom_kill_disable: true\n"
        "    oom_score_adj: -500\n"
        "    restart: on-failure   # exit code 137 when it was OOMKilled\n"
    ),
    "systemdconf": (
        "[Service]\n"
        "ExecStart=/usr/bin/python3 prep.py\n"
        "OOMPolicy=kill\n"
        "ManagedOOMMemoryPressure=kill\n"
        "MemoryMax=8G\n"
        "# Result=oom-kill means that it was killed\n"
    ),
    "earlyoomstart": (
        "Mar 01 10:00:00 pc systemd[1]: Started Early OOM Daemon.\n"
        "Mar 01 10:00:00 pc earlyoom[912]: earlyoom 1.7\n"
        "Mar 01 10:00:00 pc earlyoom[912]: mem total: 15934 MiB, swap total: 2047 MiB\n"
        "Mar 01 10:00:00 pc earlyoom[912]: sending SIGTERM when mem <= 10.00% and swap <= 10.00%,\n"
        "Mar 01 10:00:00 pc earlyoom[912]:         SIGKILL when mem <=  5.00% and swap <=  5.00%\n"
        "Mar 01 11:00:00 pc earlyoom[912]: mem avail: 11832 of 15934 MiB (74.26%), swap free: 2047 of 2047 MiB (100.00%)\n"
    ),
    "oomdstatus": (
        "Dry Run: no\n"
        "Swap Used Limit: 90.00%\n"
        "Default Memory Pressure Limit: 60.00%\n"
        "System Context:\n"
        "        Memory: Used: 7.1G Total: 15.5G\n"
        "        Swap: Used: 0B Total: 2.0G\n"
        "Memory Pressure Monitored CGroups:\n"
        "        Path: /user.slice/user-1000.slice/user@1000.service\n"
        "                Memory Pressure Limit: 50.00%\n"
    ),
    "bootlog": (
        "Mar 01 10:00:00 pc systemd[1]: Starting systemd-oomd.service - Userspace Out-Of-Memory (OOM) Killer...\n"
        "Mar 01 10:00:00 pc systemd[1]: Listening on systemd-oomd.socket - Userspace Out-Of-Memory (OOM) Killer Socket.\n"
        "Mar 01 10:00:00 pc kernel: Memory: 16111876K/16656384K available (14336K kernel code, 2308K rwdata)\n"
        "Mar 01 10:00:00 pc kernel: cgroup: Disabling memory control group subsystem\n"
        "Mar 01 10:00:00 pc kernel: software IO TLB: mapped\n"
    ),
    "pagealloc": (
        "[  123.456789] warn_alloc: 12 callbacks suppressed\n"
        "[  123.456790] kworker/0:1: page allocation failure: order:5, mode:0x40dc0(GFP_KERNEL|__GFP_COMP|__GFP_ZERO), nodemask=(null),cpuset=/,mems_allowed=0\n"
        "[  123.456791] CPU: 0 PID: 4711 Comm: kworker/0:1 Not tainted 6.1.0 #1\n"
        "[  123.456795] Mem-Info:\n"
        "[  123.456796] active_anon:1131648 inactive_anon:229509 isolated_anon:32\n"
        "                active_file:0 inactive_file:367 isolated_file:219\n"
        "                free:25315 free_pcp:0 free_cma:0\n"
        "[  123.456799] 2030652 pages RAM\n"
    ),
    "segv": (
        "[  123.456789] python3[4711]: segfault at 0 ip 00007f0000000000 sp 00007ffd00000000 error 4 in libx.so[7f0000000000+1000]\n"
        "[  124.456789] traps: prep[4712] trap int3 ip:55d0 sp:7ffd error:0\n"
        "Segmentation fault (core dumped)\n"
    ),
    "bashtrap": (
        "trap 'echo \"Killed\"' TERM\n"
        'if [ $? -eq 137 ]; then echo "OOMKilled: exit code 137"; fi\n'
        "case $status in 137) echo Killed ;; esac\n"
    ),
    "python": (
        "def explain(code):\n"
        "    # 137 = 128 + SIGKILL; in Kubernetes: Reason: OOMKilled\n"
        "    if code == 137:\n"
        '        return "Killed"\n'
        '    raise RuntimeError("DataLoader worker (pid %s) is killed by signal: Killed" % pid)\n'
    ),
    "go": (
        "\tswitch reason {\n"
        '\tcase "OOMKilled":\n'
        '\t\treturn fmt.Errorf("container %s was OOMKilled", name)\n'
        "\t}\n"
        '\tlog.Printf("Memory cgroup out of memory: Killed process %d (%s)", pid, comm)\n'
    ),
    "sacctok": (
        "JobID           JobName  Partition    Account  AllocCPUS      State ExitCode\n"
        "------------ ---------- ---------- ---------- ---------- ---------- --------\n"
        "4711               prep        cpu       grp          4  COMPLETED      0:0\n"
        "4711.batch        batch                  grp          4  COMPLETED      0:0\n"
        "4712               prep        cpu       grp          4     FAILED      1:0\n"
        "4713               prep        cpu       grp          4    TIMEOUT      0:0\n"
        "4714               prep        cpu       grp          4 CANCELLED+      0:0\n"
    ),
    "slurmtime": (
        "slurmstepd: error: *** JOB 4711 ON n7 CANCELLED AT 2026-03-01T10:00:00 DUE TO TIME LIMIT ***\n"
        "srun: Job step aborted: Waiting up to 32 seconds for job step to finish.\n"
    ),
    "lsftime": (
        "TERM_RUNLIMIT: job killed after reaching LSF run time limit.\n"
        "Exited with exit code 140.\n"
        "Resource usage summary:\n"
        "    Max Memory :                                 4096 MB\n"
    ),
    "ephemeral": (
        "  Warning  Evicted  3m  kubelet  Pod ephemeral local storage usage exceeds the total limit of containers 1Gi.\n"
        "  Warning  Evicted  3m  kubelet  The node was low on resource: ephemeral-storage. Container web was using 1Gi, which exceeds its request of 0.\n"
    ),
    "chat": (
        "<ann> my pod was OOMKilled again\n"
        '<bob> did you see "Killed process" in dmesg?\n'
        "<ann> no, nothing. only exit code 137\n"
        "<bob> then look at docker inspect, OOMKilled\n"
    ),
    "changelog": (
        "oomguard (1.2) unstable; urgency=medium\n"
        "\n"
        "  * earlyoom: sending SIGTERM to process is logged with the uid now\n"
        "  * systemd-oomd killed 2 process(es): fix count\n"
        '  * Detect "Memory cgroup out of memory: Killed process" in containers\n'
    ),
    "helmvalues": (
        "resources:\n"
        "  limits:\n"
        "    memory: 512Mi   # OOMKilled below this\n"
        "oomKilled: true\n"
        "alertOnOOMKilled: true\n"
        "reasons: [OOMKilled, Error, Evicted]\n"
    ),
    "csv": ("reason,count\nOOMKilled,0\nError,137\nCompleted,4711\n"),
    "metrics": (
        "# HELP container_oom_events_total Count of out of memory events observed for the container\n"
        "# TYPE container_oom_events_total counter\n"
        'container_oom_events_total{container="prep",pod="web-1"} 0\n'
        "node_vmstat_oom_kill 0\n"
        'kube_pod_container_status_terminated_reason{reason="OOMKilled",pod="web-1"} 0\n'
    ),
    "history": (
        "  811  kubectl get pods -A | grep OOMKilled\n"
        "  812  dmesg -T | grep -iE 'killed process|out of memory'\n"
        '  813  journalctl -k | grep -i "invoked oom-killer"\n'
    ),
    "terminal": (
        "ann@pc:~$ dmesg | grep -i 'killed process'\n"
        "ann@pc:~$ kubectl describe pod web-1 | grep OOMKilled\n"
        "ann@pc:~$ echo $?\n"
        "1\n"
    ),
    "grepself": (
        "root     4711  0.0  0.0   6480  2200 pts/0    S+   10:00   0:00 grep --color=auto Out of memory: Killed process\n"
        "root     4712  0.0  0.0   6480  2200 pts/0    S+   10:00   0:00 tail -f /var/log/kern.log\n"
    ),
    "ansible": (
        "TASK [Look for OOM kills] ******************************************************\n"
        'ok: [n7] => {"changed": false, "cmd": "dmesg | grep \'Out of memory: Killed process\'", "rc": 1, "stdout": "", "stderr": ""}\n'
    ),
    "jira": (
        "Summary: Pod OOMKilled\n"
        "Type: Bug\n"
        "Description: When the worker is OOMKilled (exit code 137) we lose the checkpoint. Steps: 1. set limit 512Mi 2. run 3. Reason: OOMKilled\n"
        "Expected: resume. Actual: starts from the beginning.\n"
    ),
    "deadcontainer": (
        "CONTAINER ID   IMAGE     COMMAND   CREATED       STATUS                     PORTS   NAMES\n"
        '5954f621c17f   prep:1    "python"  2 hours ago   Exited (0) 2 hours ago             web\n'
        '6954f621c17f   prep:1    "python"  2 hours ago   Exited (143) 2 hours ago           web2\n'
    ),
    "jsonlog": (
        '{"level":"info","msg":"memory limit of 512 MiB set","oomKilled":false,"exit":0}\n'
        '{"level":"info","msg":"health ok","OOMKilled":0}\n'
    ),
    "configmap": (
        "data:\n"
        "  patterns: |\n"
        "    Out of memory: Killed process \\d+\n"
        "    Memory cgroup out of memory: Kill process \\d+\n"
        "    \\S+ invoked oom-killer\n"
    ),
    "npd": (
        '{"type":"temporary","reason":"OOMKilling","pattern":"(?i)killed process \\\\d+ (.+) total-vm:\\\\d+kB, anon-rss:\\\\d+kB, file-rss:\\\\d+kB.*"}\n'
    ),
}
# Of these a number 137 is passed on, with where to look; nobody is said to have killed.
PASSED_ON = {"bashtrap", "chat", "jira"}


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_said_to_have_been_killed(tmp_path: Path, name: str) -> None:
    log = tmp_path / "text"
    log.write_text(TEXTS[name])
    answer = diagnose(log)
    assert (answer.verdict, answer.killer, answer.found) == ("none", None, 0)
    assert bool(answer.notices) == (name in PASSED_ON)
