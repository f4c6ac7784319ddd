"""`oomguard diagnose` as people start it. `pytest --update-screens` rewrites the screens."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[[str, str], None]

CAPTURES = Path(__file__).parents[1] / "captures/kernel_log"
PASTED = Path(__file__).parents[1] / "captures/pasted"
THREE = str(CAPTURES / "three-kills-6.1.log")
ESCAPE = "\x1b"


def without_folder(screen: str) -> str:
    return re.sub(r"\S*/(?=captures/|hostile)", "<here>/", screen)


def test_the_summary(oomguard: Run, check_screen: Check) -> None:
    run = oomguard("diagnose", "--log", THREE)
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    check_screen("diagnose-group.txt", run.stdout)
    check_screen("diagnose-machine.txt", oomguard("diagnose", "--log", THREE, "--pid", "171").stdout)
    check_screen(
        "diagnose-memcg.txt", oomguard("diagnose", "--log", THREE, "--pid", "167", "--script", "prepare.py").stdout
    )


def test_the_line_of_a_script_that_was_killed(oomguard: Run, tmp_path: Path) -> None:
    """The kernel's numbers beside what the script holds; a script that cannot be read is no reason to say nothing."""
    script = tmp_path / "prepare.py"
    script.write_text("text = open('train.txt').read()\nprint(len(text))\n")
    flags = ("diagnose", "--log", THREE, "--pid", "167", "--script", str(script))
    advice = json.loads(oomguard(*flags, "--input", "train.txt", "--json").stdout)["advice"][0]
    # Python's str takes 1, 2 or 4 bytes a character, by the widest there is.
    assert re.match(r"line 1 of your script takes [124]\.0 bytes for each byte of its input: text = o", advice["text"])
    assert advice["command"] == f"oomguard check {script} --input train.txt"
    script.write_text("not python (")
    advice = json.loads(oomguard(*flags, "--json").stdout)["advice"][0]
    assert advice["command"] == f"oomguard check {script}"


def test_the_whole_accounting(oomguard: Run, check_screen: Check) -> None:
    check_screen(
        "diagnose-verbose.txt", without_folder(oomguard("diagnose", "--log", THREE, "--pid", "171", "--verbose").stdout)
    )
    check_screen("diagnose-all.txt", oomguard("diagnose", "--log", THREE, "--all").stdout)


def test_a_kill_by_a_program(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "oomd.log").write_text(
        "Nov 22 21:42:09 guest systemd-oomd[172]: Killed /oomds.slice/swapper.service due to memory used (600924160) / total (605257728) "
        "and swap used (138174464) / total (201322496) being more than 60.00%\n"
        "Nov 22 21:42:09 guest systemd[1]: swapper.service: systemd-oomd killed 2 process(es) in this unit.\n"
    )
    check_screen("diagnose-systemd-oomd.txt", oomguard("diagnose", "--log", "oomd.log").stdout)


def test_nothing_found_exits_3(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "calm.log").write_text(
        "Jun 15 20:02:45 vagrant kernel: cgroup: fork rejected by pids controller in /user.slice\n"
    )
    run = oomguard("diagnose", "--log", "calm.log")
    assert run.returncode == 3
    check_screen("diagnose-nothing.txt", run.stdout)
    asked = oomguard("diagnose", "--log", THREE, "--name", "java")
    assert asked.returncode == 3
    check_screen("diagnose-another.txt", without_folder(asked.stdout))


def test_json_is_one_object_with_all_that_was_promised(oomguard: Run) -> None:
    run = oomguard("diagnose", "--log", "-", "--json", stdin=Path(THREE).read_text())
    answer = json.loads(run.stdout)
    assert answer["schema"] == "oomguard.diagnosis/2"
    assert {"verdict", "killer", "cause", "events", "advice", "sources"} <= answer.keys()
    assert (answer["verdict"], answer["killer"], answer["cause"], answer["found"]) == ("proved", "kernel", "memcg", 3)
    promised = {
        "time", "constraint", "trigger", "gfp_mask", "order", "victims", "oom_memcg", "task_memcg", "memcg_usage", "memcg_limit",
        "page_size", "ram_pages", "swap_total", "swap_free", "task_rows", "largest", "groups", "outcome", "missing",
    }  # fmt: skip
    first = answer["events"][0]  # oldest first
    assert promised <= first.keys()
    assert first["trigger"] == {"name": "python3", "pid": 167}
    assert (first["gfp_mask"], first["order"], first["memcg_limit"], first["outcome"]) == (
        "0xcc0",
        0,
        64 << 20,
        "killed",
    )
    assert first["victims"][0]["anon_rss"] == 65264 << 10
    assert set(answer["advice"][0]) == {"text", "command"}


def test_a_hostile_log_does_nothing_to_a_terminal_or_a_page(oomguard: Run, tmp_path: Path) -> None:
    """Names of processes and cgroups are whatever somebody chose."""
    name = "a\x1b]0;x\x07<b>[r]"
    (tmp_path / "hostile.log").write_text(
        f"[1.5] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/<script>alert(1)</script>,"
        f"task_memcg=/<script>alert(1)</script>,task={name},pid=5,uid=0\n"
        f"[1.5] Memory cgroup out of memory: Killed process 5 ({name}) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB\n"
    )
    run = oomguard("diagnose", "--log", "hostile.log", "--verbose", "--html", "page.html")
    assert run.returncode == 0, run.stderr
    assert ESCAPE not in run.stdout + run.stderr
    assert "<b>[r]" in run.stdout
    page = (tmp_path / "page.html").read_text()
    assert ESCAPE not in page
    assert page.count("<script") == 1  # its own
    assert "alert(1)" in page and "<script>alert" not in page
    assert "&lt;script&gt;" in page
    assert ("http://" not in page) and ("https://" not in page)


def test_the_page_says_what_the_screen_says(oomguard: Run, tmp_path: Path) -> None:
    run = oomguard("diagnose", "--log", THREE, "--html", "page.html")
    page = (tmp_path / "page.html").read_text()
    for words in ("python3 (pid 173)", "memory.oom.group", "Killed process 173", "oomguard run --max-rss"):
        assert words in re.sub(r"<[^>]*>", "", page), words
    assert page.count("<h2>") >= 3
    assert "page.html" not in run.stderr
    assert oomguard("diagnose", "--log", THREE, "--html", "no/where.html").returncode == 1


def test_no_line_but_a_command_is_wider_than_80_columns(oomguard: Run) -> None:
    screen = oomguard("diagnose", "--log", THREE, env={"NO_COLOR": "1"}).stdout
    assert ESCAPE not in screen
    assert [line for line in screen.splitlines() if len(line) > 80 and not line.startswith(" " * 14)] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--log", "nowhere.log"], ["nowhere.log does not exist", "oomguard diagnose"]),
        (["--log", "empty"], ["empty does not exist"]),
        (["--since", "soon"], ['"soon"', "2h"]),
    ],
    ids=" ".join,
)
def test_a_wrong_value_is_two_lines_and_exits_1(oomguard: Run, arguments: list[str], words: list[str]) -> None:
    run = oomguard("diagnose", *arguments)
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "\n  try: " in run.stderr
    assert [word for word in words if word not in run.stderr] == []


def test_a_file_a_pipe_several_files_and_a_folder(oomguard: Run, tmp_path: Path) -> None:
    """As people try it first, without --log."""
    assert oomguard("diagnose", THREE).stdout == oomguard("diagnose", "--log", THREE).stdout
    assert oomguard("diagnose", "-", stdin=Path(THREE).read_text()).stdout == oomguard("diagnose", THREE).stdout
    folder = tmp_path / "logs"
    folder.mkdir()
    for day in (1, 3, 2):
        (folder / f"{day}.log").write_text(
            f"2026-03-0{day}T10:00:00+00:00 h kernel: Out of memory: Killed process {day} (job{day}) total-vm:9kB, anon-rss:8kB, file-rss:0kB\n"
        )
    for arguments in (["logs"], ["logs/1.log", "logs/2.log", "logs/3.log"]):
        run = oomguard("diagnose", *arguments)
        assert run.returncode == 0, run.stderr
        assert "job3 (pid 3)" in run.stdout
        assert "2 more kills: --all" in run.stdout
    (folder / "torn.log.gz").write_bytes(b"\x1f\x8b\x08\x00torn")
    run = oomguard("diagnose", "logs", "--verbose")
    assert run.returncode == 0, run.stderr
    assert "torn.log.gz: not read" in run.stdout


def test_a_filter_that_nothing_fits_exits_3(oomguard: Run) -> None:
    for arguments in (["--pid", "1"], ["--name", "nosuch"], ["--since", "1m"]):
        run = oomguard("diagnose", THREE, *arguments)
        if arguments[0] != "--since":  # a kill without a day fits any time
            assert run.returncode == 3, run.stdout
            assert "no out-of-memory kill matching" in run.stdout


@pytest.mark.parametrize("width", [40, 80, 120])
def test_screens_at_every_width(oomguard: Run, check_screen: Check, width: int) -> None:
    """Text is wrapped for the terminal, a command never."""
    shown = []
    for name in (
        "m05_memcg_v1_without_stats_kmem_small.log",
        "m34_oomd_long.log",
        "m46_sigkill_other.log",
        "m21_prose.log",
    ):
        run = oomguard("diagnose", name, cwd=PASTED, env={"COLUMNS": str(width), "TERMINAL_WIDTH": str(width)})
        assert run.stderr == ""
        shown.append(run.stdout)
        long = [line for line in run.stdout.splitlines() if len(line) > width >= 11 + max(map(len, line.split()))]
        assert [line for line in long if not line.startswith(" " * 14)] == []
    check_screen(f"diagnose-{width}.txt", "\n".join(shown))


def test_messages_of_other_systems(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    """What was killed, where, at which limit, and the next command for that system."""
    texts = {
        "describe": """Name:             web-1
Namespace:        shop
Containers:
  prep:
    Container ID:  containerd://5954f621c17f13706c25a215db06fe2bf7b9a9a6c732a909eb0db39d62346724
    Last State:     Terminated
      Reason:       OOMKilled
      Exit Code:    137
      Started:      Sun, 01 Mar 2026 09:59:00 +0000
      Finished:     Sun, 01 Mar 2026 10:00:00 +0000
    Restart Count:  5
    Limits:
      memory:  512Mi
""",
        "seff": """Job ID: 4711
State: OUT_OF_MEMORY (exit code 0)
Memory Utilized: 7.90 GB
Memory Efficiency: 98.77% of 8.00 GB
""",
        "dataloader": "RuntimeError: DataLoader worker (pid 1817) is killed by signal: Killed. \n",
        "gpu": "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB\n",
    }
    shown = []
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        run = oomguard("diagnose", name)
        assert run.returncode == (0 if name in ("describe", "seff") else 3)
        shown.append(run.stdout)
    check_screen("diagnose-messages.txt", "\n".join(shown))
