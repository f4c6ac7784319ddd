"""Damaged and hostile logs: nothing raised, nothing invented, no memory without bound. `make fuzz` does 100,000."""

from __future__ import annotations

import random
import time
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.log_mutations import check, mutate, seeds
from oomguard.diagnosis.killers.reader import find_in_blocks, find_newest, parse_log
from oomguard.formats.kernel_log import OomEvent, log_stream
from oomguard.formats.kernel_log.log_lines import read_messages
from oomguard.formats.kernel_log.prefixes import peel

if TYPE_CHECKING:
    from collections.abc import Iterator

CAPTURE = (Path(__file__).parents[2] / "captures/kernel_log/three-kills-6.1.log").read_text()
MIB = 1 << 20
ROW = b"[%7d]  1000 %7d    12551     %5d    49152       37             0 worker-%d\n"


def test_damaged_logs() -> None:
    logs = seeds()
    named = sum(check(mutate(random.Random(number), logs), shown=number % 10 == 0) for number in range(500))
    assert named > 50


@settings(max_examples=60)
@given(st.text(), st.sampled_from(CAPTURE.split("\n")), st.text())
def test_any_text_around_any_line(before: str, line: str, after: str) -> None:
    peel(before + line + after)
    list(parse_log([before, before + line + after, after]))


QUOTES = [
    'Jun 20 12:47:02 host sudo[77]:    root : TTY=pts/0 ; COMMAND=/usr/bin/grep "Killed process" /var/log/syslog',
    "Jun 20 12:47:02 host kubelet[12]: I0620 oom_watcher.go:66] Got sys oom event: Killed process",
    "[ 12.345678] TCP: out of memory -- consider tuning tcp_mem",
    "[ 12.345678]  oom_kill_process+0x193/0x220",
    "root        54  0.0  0.0      0     0 ?        S    10:01   0:00 [oom_reaper]",
    "bash invoked oom-killer and then nobody knew what to do",
    "Jun 20 12:47:02 host systemd[1]: Listening on systemd-oomd.socket - Userspace Out-Of-Memory (OOM) Killer Socket.",
    "Sep 02 13:07:24 host systemd-oomd[885]: Considered 35 cgroups for killing, top candidates were:",
    "[77187.055103] MCE: Killing uffd-unit-tests:1321817 due to hardware memory corruption fault at 4631e000",
    "[77187.055103] Memory failure: 0x1234: Killing a.out:1321 due to hardware memory corruption",
    "Jun 20 12:47:02 host earlyoom[166]: mem avail:    36 of   451 MiB ( 8.13%), swap free:    0 of    0 MiB ( 0.00%)",
]


@pytest.mark.parametrize("line", QUOTES)
def test_talk_of_kills_is_no_kill(line: str) -> None:
    assert list(parse_log([line, ""])) == []
    assert list(find_in_blocks([f"{line}\n".encode()])) == []


KERNEL = "Jun 20 12:47:01 host kernel: Out of memory: Killed process 77 (job) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB"
QUOTE = 'Jun 20 12:47:02 host kubelet[12]: event "Out of memory: Killed process 77 (job) total-vm:9kB, anon-rss:8kB, file-rss:0kB"'


@pytest.mark.parametrize("lines", [[KERNEL, QUOTE], [QUOTE, KERNEL], [KERNEL, KERNEL], [KERNEL, QUOTE, QUOTE]])
def test_a_kill_that_is_told_twice_counts_once(lines: list[str]) -> None:
    (event,) = parse_log(lines)
    assert isinstance(event, OomEvent)
    assert not event.quoted


def test_a_quote_alone_is_a_kill_that_only_a_program_tells_of() -> None:
    (event,) = parse_log([QUOTE, QUOTE])
    assert isinstance(event, OomEvent)
    assert event.quoted
    assert [(victim.pid, victim.name) for victim in event.victims] == [(77, "job")]


def test_a_program_that_writes_the_kernels_words_to_dev_kmsg_is_no_kernel() -> None:
    """Facility 1 is a user's; the kernel's own is 0."""
    line = "12,776,1438643922,-;Out of memory: Killed process 1 (init) total-vm:9kB, anon-rss:8kB, file-rss:0kB"
    (event,) = parse_log([line])
    assert isinstance(event, OomEvent)
    assert event.quoted


def test_names_may_be_anything() -> None:
    """Names of processes and cgroups are printed as they are."""
    text = (
        "we,ird (x] p invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=a b,mems_allowed=0,2-4,oom_memcg=/comma,task=x,"
        "task_memcg=/comma,task=x/b,task=we,ird (x] p,pid=191,uid=0\n"
        "Memory cgroup out of memory: Killed process 191 (we,ird (x] p) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB\n"
        "Memory cgroup out of memory: Killed process 192 ((sd-pam)) total-vm:9kB, anon-rss:8kB, file-rss:0kB, shmem-rss:0kB\n"
    )
    first, second = (found for found in parse_log(text.split("\n")) if isinstance(found, OomEvent))
    assert (first.trigger_name, first.oom_memcg, first.task_memcg) == (
        "we,ird (x] p",
        "/comma,task=x",
        "/comma,task=x/b",
    )
    assert first.mems_allowed == "0,2-4"
    assert [victim.name for victim in (*first.victims, *second.victims)] == ["we,ird (x] p", "(sd-pam)"]


def blocks_of_a_table(rows: int) -> Iterator[bytes]:
    yield b"python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    yield b"[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name\n"
    for start in range(0, rows, 5000):
        yield b"".join(ROW % (n, n, n % 9999, n) for n in range(start, start + 5000))
    yield b"Out of memory: Killed process 5 (worker-5) total-vm:50204kB, anon-rss:20kB, file-rss:0kB, shmem-rss:0kB\n"


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_a_table_without_end_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    monkeypatch.setattr(log_stream, "KEPT_BYTES", MIB)
    rows = 25_000 if whole else 100_000
    tracemalloc.start()
    try:
        found = list(find_in_blocks(blocks_of_a_table(rows))) if whole else find_newest(blocks_of_a_table(rows))[0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    (event,) = found
    assert isinstance(event, OomEvent)
    assert event.tasks is not None
    assert event.trigger_name == "python3"
    assert [victim.pid for victim in event.victims] == [5]
    assert event.tasks.largest[0].rss == 9998 * 4096
    if whole:
        assert event.tasks.rows == rows
    else:
        assert any("passed over the middle" in note for note in event.notes)
    assert peak < 20 * MIB


def test_a_line_without_end() -> None:
    def blocks() -> Iterator[bytes]:
        yield b"Out of memory: Killed process 5 (job) total-vm:50204kB, anon-rss:20kB, file-rss:0kB\n"
        for _ in range(200):
            yield b"Killed process 6 (x) total-vm:1kB " * 30_000
        yield b"\nOut of memory: Killed process 7 (job) total-vm:50204kB, anon-rss:20kB, file-rss:0kB\n"

    tracemalloc.start()
    began = time.monotonic()
    found = [found for found in find_in_blocks(blocks()) if isinstance(found, OomEvent)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began < 20
    assert {victim.pid for event in found for victim in event.victims} == {5, 6, 7}
    assert peak < 16 * MIB


@pytest.mark.parametrize("blank", [" ", "\t"])
def test_a_line_of_blanks_is_read_at_once(blank: str) -> None:
    """In time that grows with its length: with its square each line took ten seconds."""
    line = blank * 200_000 + "x"
    began = time.process_time()
    found = list(parse_log([line, *CAPTURE.splitlines(), line]))
    assert [message.text.strip() for message in read_messages([line[-60_000:]])] == ["x"]
    assert time.process_time() - began < 5
    assert found == list(parse_log(CAPTURE.splitlines()))


@pytest.mark.slow
def test_only_the_newest_are_read_and_the_others_counted() -> None:
    many = (CAPTURE * 400).encode()
    found, before = find_newest(many[start : start + MIB] for start in range(0, len(many), MIB))
    assert len(found) + before == 1200
    assert before > 300
