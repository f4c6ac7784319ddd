"""/proc/PID/limits of a real process, and texts that are none."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from oomguard.formats.proc import parse_process_limits

CAPTURES = Path("tests/captures/process_limits")


def test_soft_limits_by_name() -> None:
    limits = parse_process_limits((CAPTURES / "ulimits.txt").read_text())
    assert limits["Max address space"] == 8 << 30  # ulimit -v counts KiB
    assert (limits["Max open files"], limits["Max cpu time"], limits["Max processes"]) == (64, 3600, 100)
    assert limits["Max data size"] is None
    assert len(limits) == 16
    assert parse_process_limits((CAPTURES / "unlimited.txt").read_text())["Max address space"] is None


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    parse_process_limits(text)
    parse_process_limits(f"Max address space         {text}")
