"""Searches that are dear are made only where a plain word stands: it stands wherever they find something."""

from __future__ import annotations

import re

import pytest

from oomguard.formats.kernel_log import oom_lines

LOST = (
    "imuxsock lost 5 messages from pid 7", "imuxsock[pid: 9] begins to drop messages", "12 printk messages dropped",
    "printk: 5 messages suppressed.", "Missed 41 kernel messages", "oomguard passed over the middle of this report",
    "message lost due to rate-limiting", "messages dropped due to rate-limiting", "Suppressed 99 messages from unit",
)  # fmt: skip
OTHERS = (
    "page allocation failure: order:4", "page allocation stalls for 10s", "vmap alloc failure: order:9", "vmalloc error: size 4096",
    "SysRq : Show Memory", "sysrq: Show memory", "SysRq : Show Regs", "warn_alloc+0x120/0x190", "vmap allocation failed: out of vmalloc space",
)  # fmt: skip


@pytest.mark.parametrize("text", [*LOST, *OTHERS, "[ 1.5] ordinary", "Out of memory: Killed process 5 (x)"])
def test_with_the_words_as_without(text: str) -> None:
    assert oom_lines.tells_of_loss(text) == (oom_lines.LOST.search(text) is not None) == (text in LOST)
    assert oom_lines.begins_other_report(text) == (oom_lines.OTHER_REPORT.search(text) is not None) == (text in OTHERS)


def test_every_alternative_is_tried_here() -> None:
    for pattern, texts in ((oom_lines.LOST, LOST), (oom_lines.OTHER_REPORT, OTHERS)):
        inner = pattern.pattern.removeprefix("(?:").removesuffix(")") if pattern is oom_lines.LOST else pattern.pattern
        depth, parts, start = 0, [], 0
        for place, letter in enumerate(inner):
            depth += (letter == "(") - (letter == ")")
            if letter == "|" and not depth:
                parts.append(inner[start:place])
                start = place + 1
        for part in [*parts, inner[start:]]:
            assert any(re.search(part, text) for text in texts), part


@pytest.mark.parametrize("name", ["python3", r"C:\windows\syst", r"C:\Wine\dbus.e", "a.*b", r"\d+ x"])
def test_any_name_of_a_process_may_stand_before_a_trigger(name: str) -> None:
    found = oom_lines.INVOKED.match(f"{name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0")
    assert found is not None
    assert found["name"] == name


@pytest.mark.parametrize(
    "rule", [r"\S+ invoked oom-killer: .*", r".* invoked oom-killer:", r"\w+ invoked oom-killer: gfp_mask=0x[0-9a-f]+", r".+ invoked oom-killer: gfp_mask=\S+"]
)  # fmt: skip
def test_a_rule_that_looks_for_a_trigger_is_none(rule: str) -> None:
    assert oom_lines.INVOKED.match(rule) is None
