"""What a job has grown by, by the line that grew: what one look at a stack tells, and what it does not."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from oomguard.supervision.growth.ledger import GrowthLedger

FRAMES = [("/home/ada/app.py", 5, "handle")]


def ledger_that_reads(*stacks: list[tuple[str, int, str]]) -> Any:
    """A ledger over one running process, which gives these stacks one after the other."""
    ledger: Any = GrowthLedger(100 << 20, 0.0)
    ledger.close()
    left = list(stacks)
    ledger.frames = SimpleNamespace(read=lambda _: left.pop(0), thread=lambda pid: pid)
    ledger.sources = SimpleNamespace(named=lambda _, frames: frames, line=lambda *_: "cache.append(row)")
    ledger._proc = SimpleNamespace(stat=lambda _: SimpleNamespace(name="python", state="R"), read=lambda _: "")
    return ledger


def test_a_python_that_cannot_be_read_for_a_moment_is_asked_again_and_charged_nothing() -> None:
    ledger = ledger_that_reads(FRAMES, [], [], FRAMES)
    lines = [ledger._line(7).line for _ in range(4)]
    assert lines == [5, -1, -1, 5]


def test_a_program_that_never_could_be_read_is_charged_itself_and_left_alone_for_a_while() -> None:
    ledger = ledger_that_reads([])
    assert [ledger._line(7).line for _ in range(3)] == [0, 0, 0]  # a second read would find no stack to give


def test_a_job_that_was_only_met_asleep_is_sought_until_it_is_met_where_it_grows() -> None:
    ledger = ledger_that_reads(FRAMES, FRAMES, FRAMES)
    ledger._growth.take(7, 0, None)
    for state, seeks in (("S", True), ("S", True), ("R", False)):
        ledger._proc = SimpleNamespace(
            stat=lambda _, s=state: SimpleNamespace(name="python", state=s), read=lambda _: ""
        )
        ledger._not_charged = 1 << 20
        ledger._charge(7, (ledger._growth.size(7) or 0) + (1 << 20))
        assert ledger.is_seeking is seeks


def test_looking_more_often_is_paid_for_and_ends_when_that_is_used_up() -> None:
    """On a clock that stands still: else the time since earns more."""
    ledger = ledger_that_reads()
    ledger._charged_asleep = 1 << 20
    ledger._first = ledger._last = 1 << 20
    looks = 0
    while ledger.is_seeking:
        ledger._credit_at = time.monotonic()
        ledger.look([7], 1 << 20)  # which has not grown since: nothing is read
        looks += 1
    assert 50 < looks < 1000


def test_lines_grew_by_no_more_than_the_job_did() -> None:
    """One process took 90 MiB, another gave back 40: said is 50, of 50."""
    ledger = ledger_that_reads(FRAMES)
    ledger._growth.take(7, 0, None)
    ledger._not_charged = 90 << 20
    ledger._charge(7, 90 << 20)
    for last, told in ((50, [50 << 20]), (90, [90 << 20]), (0, [])):
        ledger._first, ledger._last = 0, last << 20
        assert [line.grew_bytes for line in ledger.lines()] == told


def test_growth_is_where_the_job_was_when_the_kernel_told_of_it() -> None:
    """Measured a moment later, it sleeps; the glimpse counts for that look alone."""
    ledger = ledger_that_reads(FRAMES, FRAMES, FRAMES)
    ledger._growth.take(7, 0, None)
    ledger._not_charged = 2 << 20
    ledger._proc = SimpleNamespace(stat=lambda _: SimpleNamespace(name="python", state="S"), read=lambda _: "")
    ledger.glimpse()  # nothing has grown yet: no stack is read
    ledger._charge(7, 1 << 20)
    assert ledger.is_seeking
    ledger._proc.stat = lambda _: SimpleNamespace(name="python", state="R")
    ledger.glimpse()
    ledger._proc.stat = lambda _: SimpleNamespace(name="python", state="S")
    ledger._first, ledger._last = 0, 2 << 20
    ledger._charge(7, 2 << 20)
    assert [(line.line, line.grew_bytes) for line in ledger.lines()] == [(5, 2 << 20)]
    assert ledger._glimpse is None
