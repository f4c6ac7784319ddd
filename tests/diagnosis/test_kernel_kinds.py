"""Kinds of kernel logs that were once explained wrongly, each cut to what decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.api import diagnose

if TYPE_CHECKING:
    from pathlib import Path

LOGS = {
    "c7": "Nov 21 10:00:00 h kernel: Out of memory: Killed process 77 (job) total-vm:9000kB, anon-rss:8000kB, file-rss:0kB, shmem-rss:0kB\nDec  8 11:00:00 h kernel: db invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0\nDec  8 11:00:00 h kernel: CPU: 7 PID: 1032 Comm: db Not tainted 6.0.11 #1\n",
    "d14": "Mar  3 04:05:06 n3 kernel: Memory cgroup out of memory: Killed process 2131 (stress) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB\n  Warning  OOMKilling  5m  kernel-monitor  Memory cgroup out of memory: Killed process 2131 (stress) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB\n",
    "d4": "Mar  3 04:05:06 b kernel: [ 100.000001] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/build-kernel-tmp\nfs,task_memcg=/build-kernel-tmpfs,task=cc1,pid=4210,uid=0\nMar  3 04:05:06 b kernel: [ 100.000002] Memory cgroup out of memory: Killed process 4210 (cc1) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB, UID:1000 pgtables:4200kB oom_score_adj:0\n",
    "disk": "Dec 12 09:13:11 pc kernel: Adding 8388604k swap on /dev/nvme0n1p2.  Priority:-2 extents:1 across:8388604k SSFS\nDec 12 16:07:34 pc kernel: tab invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0\nDec 12 16:07:34 pc kernel: CPU: 7 PID: 1032 Comm: tab Not tainted 6.0.11 #1\nDec 12 16:07:34 pc kernel: Mem-Info:\nDec 12 16:07:34 pc kernel: active_anon:1131648 inactive_anon:229509 isolated_anon:32\n                            active_file:0 inactive_file:367 isolated_file:219\n                            unevictable:3295 dirty:0 writeback:0\n                            slab_reclaimable:39825 slab_unreclaimable:77321\n                            mapped:36073 shmem:109548 pagetables:34861 bounce:0\n                            kernel_misc_reclaimable:0\n                            free:25315 free_pcp:0 free_cma:0\nDec 12 16:07:34 pc kernel: 113000 total pagecache pages\nDec 12 16:07:34 pc kernel: 1534 pages in swap cache\nDec 12 16:07:34 pc kernel: Free swap  = 0kB\nDec 12 16:07:34 pc kernel: Total swap = 8388604kB\nDec 12 16:07:34 pc kernel: 2030652 pages RAM\nDec 12 16:07:34 pc kernel: 62058 pages reserved\nDec 12 16:07:34 pc kernel: Out of memory: Killed process 96054 (tab) total-vm:1184838636kB, anon-rss:16976kB, file-rss:0kB, shmem-rss:16kB, UID:1000 pgtables:1412kB oom_score_adj:300\n",
    "docsline": "Example:\n\n    Out of memory: Killed process 1234 (mysqld) total-vm:123456kB, anon-rss:100000kB, file-rss:0kB, shmem-rss:0kB\n",
    "k02": "[    2.100001] swapper/0 invoked oom-killer: gfp_mask=0x2420848(GFP_NOFS|__GFP_NOFAIL|__GFP_HARDWALL|__GFP_MOVABLE), order=0, oom_score_adj=0\n[    2.100002] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 4.9.0 #1\n[    2.100003] Mem-Info:\n[    2.100004] active_anon:0 inactive_anon:0 isolated_anon:0\n[    2.100004]  active_file:0 inactive_file:0 isolated_file:0\n[    2.100004]  unevictable:720 dirty:0 writeback:0 unstable:0\n[    2.100004]  slab_reclaimable:60 slab_unreclaimable:190\n[    2.100004]  mapped:0 shmem:0 pagetables:0 bounce:0\n[    2.100004]  free:20 free_pcp:0 free_cma:0\n[    2.100006] 2048 pages RAM\n[    2.100007] 0 pages HighMem/MovableOnly\n[    2.100008] 1000 pages reserved\n[    2.100009] [ pid ]   uid  tgid total_vm      rss nr_ptes nr_pmds swapents oom_score_adj name\n[    2.100010] Kernel panic - not syncing: Out of memory and no killable processes...\n",
    "k20": "[ 100.000001] random invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0\n[ 100.000002] Tasks state (memory values in pages):\n[ 100.000003] [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n[ 100.000004] [    700]    81   700      523      100   393216        6          -900 dbus-daemon\n[ 100.000005] [    811]     0   811 26258739 26540314 37814272      104             0 random\n[ 100.000006] Out of memory: Killed process 700 (dbus-daemon) total-vm:2092kB, anon-rss:400kB, file-rss:0kB, shmem-rss:0kB, UID:81 pgtables:384kB oom_score_adj:-900\n[ 100.000007] Kernel panic - not syncing: System is deadlocked on memory\n",
    "k24": "[ 100.1] dd invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n[ 100.2] Call Trace:\n[ 100.3]  <TASK>\n[ 100.3] dump_stack_lvl (lib/dump_stack.c:107)\n[ 100.3] mem_cgroup_out_of_memory (mm/memcontrol.c:1654)\n[ 100.3] try_charge_memcg (mm/memcontrol.c:2687)\n",
    "k31": "Feb 09 04:13:22 pve systemd[1]: 100.scope: A process of this unit has been killed by the OOM killer.\nFeb 09 04:13:22 pve systemd[1]: 100.scope: Failed with result 'oom-kill'.\n",
    "k42": "[ 100.1] Out of memory: Kill process 20183 (restd) score 239 or sacrif\n",
    "k8skern": "[ 100.000001] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=cri-containerd-5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724.scope,mems_allowed=0,oom_memcg=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7f3c2a10_1b2c_4d5e_8f90_112233445566.slice,task_memcg=/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod7f3c2a10_1b2c_4d5e_8f90_112233445566.slice/cri-containerd-5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724.scope,task=prep,pid=4210,uid=1000\n[ 100.000002] Memory cgroup out of memory: Killed process 4210 (prep) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB, UID:1000 pgtables:4200kB oom_score_adj:-998\n",
    "pct": "[ 100.000001] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/lxc/39004,task_memcg=/lxc/39004/ns,task=prep,pid=4210,uid=1000\n[ 100.000002] Memory cgroup out of memory: Killed process 4210 (prep) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB, UID:1000 pgtables:4200kB oom_score_adj:0\n",
    "lxd": "[ 100.000001] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/lxc.payload.web,task_memcg=/lxc.payload.web/ns,task=prep,pid=4210,uid=1000\n[ 100.000002] Memory cgroup out of memory: Killed process 4210 (prep) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB, UID:1000 pgtables:4200kB oom_score_adj:0\n",
    "npd": "5m  Warning  OOMKilling  node/n3  Memory cgroup out of memory: Killed process 2131 (stress) total-vm:2400000kB, anon-rss:2048000kB, file-rss:2780kB, shmem-rss:0kB\n",
    "nvidia": "Dec 12 16:07:34 pc kernel: tab invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0\nDec 12 16:07:34 pc kernel: CPU: 7 PID: 1032 Comm: tab Tainted: P           OE      6.0.11 #1\nDec 12 16:07:34 pc kernel: Mem-Info:\nDec 12 16:07:34 pc kernel: active_anon:1131648 inactive_anon:229509 isolated_anon:32\n                            active_file:0 inactive_file:367 isolated_file:219\n                            unevictable:3295 dirty:0 writeback:0\n                            slab_reclaimable:39825 slab_unreclaimable:77321\n                            mapped:36073 shmem:109548 pagetables:34861 bounce:0\n                            kernel_misc_reclaimable:0\n                            free:25315 free_pcp:0 free_cma:0\nDec 12 16:07:34 pc kernel: 113000 total pagecache pages\nDec 12 16:07:34 pc kernel: 1534 pages in swap cache\nDec 12 16:07:34 pc kernel: Free swap  = 0kB\nDec 12 16:07:34 pc kernel: Total swap = 8388604kB\nDec 12 16:07:34 pc kernel: 2030652 pages RAM\nDec 12 16:07:34 pc kernel: 62058 pages reserved\nDec 12 16:07:34 pc kernel: Out of memory: Killed process 96054 (tab) total-vm:1184838636kB, anon-rss:16976kB, file-rss:0kB, shmem-rss:16kB, UID:1000 pgtables:1412kB oom_score_adj:300\n",
    "prose": "When the kernel runs out of memory you will find a line like this: Out of memory: Killed process 1234 (mysqld) total-vm:123kB, anon-rss:100kB, file-rss:0kB in the log.\n",
    "sysrqkill": "[  910.000001] sysrq: Manual OOM execution\n[  910.000002] kworker/0:1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, oom_score_adj=0\n[  910.000003] Out of memory: Killed process 811 (job) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB\n",
    "zram": "Dec 12 09:13:11 pc kernel: zram: Added device: zram0\nDec 12 09:13:11 pc kernel: Adding 8388604k swap on /dev/zram0.  Priority:100 extents:1 across:8388604k SSDsc\nDec 12 16:07:34 pc kernel: tab invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0\nDec 12 16:07:34 pc kernel: CPU: 7 PID: 1032 Comm: tab Not tainted 6.0.11 #1\nDec 12 16:07:34 pc kernel: Mem-Info:\nDec 12 16:07:34 pc kernel: active_anon:1131648 inactive_anon:229509 isolated_anon:32\n                            active_file:0 inactive_file:367 isolated_file:219\n                            unevictable:3295 dirty:0 writeback:0\n                            slab_reclaimable:39825 slab_unreclaimable:77321\n                            mapped:36073 shmem:109548 pagetables:34861 bounce:0\n                            kernel_misc_reclaimable:0\n                            free:25315 free_pcp:0 free_cma:0\nDec 12 16:07:34 pc kernel: 113000 total pagecache pages\nDec 12 16:07:34 pc kernel: 1534 pages in swap cache\nDec 12 16:07:34 pc kernel: Free swap  = 0kB\nDec 12 16:07:34 pc kernel: Total swap = 8388604kB\nDec 12 16:07:34 pc kernel: 2030652 pages RAM\nDec 12 16:07:34 pc kernel: 62058 pages reserved\nDec 12 16:07:34 pc kernel: Out of memory: Killed process 96054 (tab) total-vm:1184838636kB, anon-rss:16976kB, file-rss:0kB, shmem-rss:16kB, UID:1000 pgtables:1412kB oom_score_adj:300\n",
}
RIGHT: dict[str, tuple[int, list[int], list[str], list[str]]] = {  # found, pids, said, not said
    "k02": (1, [], ["no program was running yet", "panic"], ["programs filled"]),
    "k20": (1, [700], ["although random (pid 811, 101 GiB) held more", "panic"], ["nothing else was left"]),
    "k24": (1, [], ["memory limit of a cgroup", "dd had asked"], []),
    "k31": (0, [], ["100.scope, Feb 09 04:13:22"], []),
    "k42": (1, [], ["restd (pid 20183) was chosen"], []),
    "c7": (2, [77], ["job (pid 77)", "newer a report, Dec 8 11:00:00 (db had asked for memory); it is cut off"], []),
    "d4": (1, [4210], ["the cgroup /build-kernel-tmpfs"], []),
    "d14": (1, [2131], ["stress (pid 2131)"], []),
    "npd": (1, [2131], ["stress (pid 2131), holding 2.0 GiB", "container"], ["likely"]),
    "zram": (1, [96054], ["Most likely: swap in memory itself (zram)"], ["zswap"]),
    "nvidia": (1, [96054], ["the log does not say which", "tainted"], ["Most likely: swap"]),
    "disk": (1, [96054], ["1.6 GiB is in nothing"], ["zram", "zswap"]),
    "sysrqkill": (1, [811], ["SysRq"], ["ran out of memory"]),
    "prose": (0, [], ["unknown: no out-of-memory kill was found"], ["proved"]),
    "docsline": (1, [1234], ["mysqld (pid 1234)"], []),
    "pct": (1, [4210], ["LXC container 39004", "pct set 39004 --memory MIB"], []),
    "lxd": (1, [4210], ["LXC container web", "lxc config set web limits.memory SIZE"], []),
    "k8skern": (1, [4210], ["pod 7f3c2a10-1b2c", "that limit is shared"], []),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_the_answer(tmp_path: Path, name: str) -> None:
    found, pids, said, not_said = RIGHT[name]
    log = tmp_path / "kern.log"
    log.write_text(LOGS[name])
    answer = diagnose(log)
    victims = [victim.pid for explained in answer.events for victim in explained.event.victims]
    assert (answer.found, victims + [kill.pid for kill in answer.others]) == (found, pids)
    screen = " ".join(str(answer.render()).split())
    assert [words for words in said if words not in screen] == []
    assert [words for words in not_said if words in screen] == []


KILL = "Memory cgroup out of memory: Killed process 216 (python3) total-vm:116312kB, anon-rss:101976kB, file-rss:2132kB, shmem-rss:0kB, UID:0 pgtables:268kB oom_score_adj:0"
STAMPED = f"[   10.114123] {KILL}"
WRAPPED = {
    "by words, at a hyphen": STAMPED.replace("total-", "total-\n").replace("UID:0 ", "UID:0\n"),
    "by a terminal of 80 columns": "\n".join(STAMPED[at : at + 80] for at in range(0, len(STAMPED), 80)),
    "by a terminal of 100 columns": "\n".join(STAMPED[at : at + 100] for at in range(0, len(STAMPED), 100)),
    "in a mail": STAMPED.replace("total-", "total-\n").replace("[ ", "> [ ").replace("\n", "\n> "),
}


@pytest.mark.parametrize("text", WRAPPED.values(), ids=list(WRAPPED))
def test_a_kill_that_was_wrapped_has_its_victim_and_size(tmp_path: Path, text: str) -> None:
    log = tmp_path / "kern.log"
    log.write_text(f"{text}\n")
    answer = diagnose(log)
    assert answer.main is not None
    (victim,) = answer.main.event.victims
    assert (answer.verdict, victim.pid, victim.name, victim.anon_rss) == ("proved", 216, "python3", 101976 << 10)


@pytest.mark.parametrize("width", range(68, 84))
def test_a_kill_that_was_cut_off_has_its_victim(tmp_path: Path, width: int) -> None:
    log = tmp_path / "kern.log"
    log.write_text(f"{STAMPED[:width]}\n")
    answer = diagnose(log)
    assert answer.main is not None
    assert [victim.pid for victim in answer.main.event.victims] == [216]


TWO_LINES = [
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/jobs/a7,task_memcg=/jobs/a7,task=python3,pid=216,uid=0",
    KILL,
]
EXPORTS = {
    "Loki's CSV": '1772359200000,2026-03-01T10:00:00Z,"{}"',
    "CSV of CloudWatch": "2026-03-01T10:00:00.000Z,{}",
    "OpenTelemetry": '{{"Timestamp": "2026-03-01T10:00:00Z", "Body": "{}", "SeverityText": "WARN"}}',
    "fluentd": '2026-03-01 10:00:00.000000000 +0000 kern.warn: {{"host": "h", "ident": "kernel", "message": "{}"}}',
    "seconds and a colon": "812.123456: {}",
}


@pytest.mark.parametrize("export", EXPORTS.values(), ids=list(EXPORTS))
def test_a_kill_in_an_export_is_one_and_has_its_cgroup(tmp_path: Path, export: str) -> None:
    log = tmp_path / "export"
    log.write_text("".join(f"{export.format(line)}\n" for line in TWO_LINES))
    answer = diagnose(log)
    assert answer.main is not None
    assert (answer.verdict, answer.found, answer.main.event.oom_memcg) == ("proved", 1, "/jobs/a7")


@pytest.mark.parametrize("width", range(30, 68, 3))
def test_a_kill_on_a_narrow_terminal_has_its_victim(tmp_path: Path, width: int) -> None:
    log = tmp_path / "kern.log"
    log.write_text("\n".join(STAMPED[at : at + width] for at in range(0, len(STAMPED), width)) + "\n")
    answer = diagnose(log)
    assert answer.main is not None
    assert [victim.pid for victim in answer.main.event.victims] == [216]


def test_two_halves_of_two_lines_are_no_victim(tmp_path: Path) -> None:
    """The end of one kill line is lost, and the beginning of the next: no process had the number that both make."""
    log = tmp_path / "kern.log"
    log.write_text(f"{STAMPED[:60]}\n{STAMPED[61:]}\n")
    answer = diagnose(log)
    assert 216 not in [victim.pid for explained in answer.events for victim in explained.event.victims]


HEAD = "Mar  1 10:00:00 h kernel: "
INVOKED = f"{HEAD}py invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
CHOSEN = f"{HEAD}oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a,task=python3,pid=12345,uid=0\n"
KILL = f"{HEAD}Memory cgroup out of memory: Killed process 12345 (python3) total-vm:9000kB, anon-rss:8000kB, file-rss:0kB, shmem-rss:0kB"


@pytest.mark.parametrize("before", ["", INVOKED, INVOKED + CHOSEN], ids=["alone", "with its head", "with the choice"])
def test_a_kill_line_that_breaks_off_anywhere_names_nobody_else(tmp_path: Path, before: str) -> None:
    log = tmp_path / "kern.log"
    for end in range(KILL.index("Killed") + 4, len(KILL)):
        log.write_text(before + KILL[:end])
        answer = diagnose(log)
        assert answer.verdict in ("likely", "proved"), KILL[:end]
        assert answer.found == 1, KILL[:end]
        event = answer.events[0].event
        told = [*event.victims, *([event.chosen] if event.chosen else [])]
        assert {victim.pid for victim in told} <= {12345}, KILL[:end]
        assert all(victim.name == "python3" or victim.name.endswith("...") for victim in told), KILL[:end]
        assert (answer.verdict == "proved") == bool(event.victims), KILL[:end]


def test_a_choice_that_breaks_off_in_the_number_gives_the_name_alone(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_text(CHOSEN[: CHOSEN.index("345,uid")])
    answer = diagnose(log)
    assert "python3 was chosen" in str(answer.render())
    assert "pid 12" not in str(answer.render())
    assert answer.events[0].event.chosen is None
    assert diagnose(log, name="python3").found == 1


def test_a_sentence_that_ends_in_the_kernels_words_is_no_kill(tmp_path: Path) -> None:
    log = tmp_path / "notes.txt"
    log.write_text("The kernel then writes a line that begins with\nOut of memory: Killed process\nand goes on.\n")
    assert diagnose(log).verdict == "none"
