"""A report is the same report, whoever logged it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.diagnosis.killers.reader import find_in_blocks, parse_log
from oomguard.formats.kernel_log import LogFinding, OomEvent
from tests.formats.kernel_log.log_renderings import RENDERERS, read_records, stacked

CAPTURE = Path(__file__).parents[2] / "captures/kernel_log/three-kills-6.1.log"
RECORDS = read_records(CAPTURE.read_text())
# Around the reports, on the same machine: nothing that was killed.
NOISE = [
    "audit: type=1110 audit(1623467776.955:85): pid=1041 uid=1000 auid=1000 ses=2 msg='op=PAM:setcred acct=\"root\"'",
    "[UFW BLOCK] IN=eth0 OUT= MAC=f2:3c:91:e2:47:cc:00:1b:54:c2:50:c1:08:00 SRC=45.134.26.57 LEN=40 TOS=0x00",
    "TCP: eth0: Driver has suspect GRO implementation, TCP performance may be compromised.",
]


def answer(findings: list[LogFinding]) -> list[OomEvent]:
    """All that a report says but when, and how the lines looked."""
    return [
        dataclasses.replace(found, time=None, evidence={}, notes=())
        for found in findings
        if isinstance(found, OomEvent)
    ]


EXPECTED = answer(list(parse_log(CAPTURE.read_text().split("\n"))))


def test_what_the_capture_says() -> None:
    """Read in it by hand."""
    first, second, group = EXPECTED
    assert [(e.constraint, e.oom_memcg) for e in EXPECTED] == [
        ("memcg", "/system.slice/capped.scope"),
        ("global", None),
        ("memcg", "/grp"),
    ]
    assert [(v.pid, v.name, v.anon_rss, v.uid) for v in first.victims] == [(167, "python3", 65264 << 10, 0)]
    assert [v.pid for v in second.victims] == [171]
    assert [v.pid for v in group.victims] == [173, 174, 175]
    assert group.oom_group
    assert first.memcg is not None
    assert (first.memcg.usage, first.memcg.limit, first.memcg.swap_limit) == (64 << 20, 64 << 20, 0)
    assert second.mem_info is not None
    assert (second.mem_info.ram_pages, second.mem_info.swap_total) == (130930, 196604 << 10)
    assert all(event.page_size == 4096 and event.outcome == "killed" and not event.missing for event in EXPECTED)


@pytest.mark.parametrize("name", RENDERERS)
def test_every_rendering_gives_the_same_answer(name: str) -> None:
    text = RENDERERS[name](RECORDS)
    assert answer(list(parse_log(text.split("\n")))) == EXPECTED


# Several messages on a line, the newest first, a line between messages: what no logger is fed with.
NOT_STACKED = (
    "dmesg --json", "none", "/dev/kmsg", "Cloud Logging", "Cloud Logging, pretty", "CloudWatch", "journalctl -r", "Loki, Kibana",
    "a code block", "a mail with a code block", "grep -n", "grep -rn", "pdsh", "dmesg --color=always",
)  # fmt: skip
STACKABLE = [name for name in RENDERERS if name not in NOT_STACKED]


@settings(max_examples=40)
@given(
    outer=st.sampled_from(STACKABLE), inner=st.sampled_from(STACKABLE), noise=st.lists(st.sampled_from(NOISE), max_size=6),
    crlf=st.booleans(), cuts=st.integers(50, 100000),
)  # fmt: skip
def test_renderings_of_renderings_too(outer: str, inner: str, noise: list[str], crlf: bool, cuts: int) -> None:
    """A container's log of a journal of a console, with other lines before and after, in blocks of any size."""
    if "journal json" in inner or "docker" in inner:
        outer = "CRI"  # JSON within a line that begins with something else is nobody's format, but for CRI's
    around = [(RECORDS[0][0], line) for line in noise]
    text = RENDERERS[outer](around) if around else ""
    text += stacked(outer, RECORDS, inner) + (RENDERERS[outer](around) if around else "")
    raw = text.replace("\n", "\r\n" if crlf else "\n").encode()
    blocks = [raw[start : start + cuts] for start in range(0, len(raw), cuts)]
    assert answer(list(find_in_blocks(blocks))) == EXPECTED
