"""Messages put in the order in which they were written: web consoles and `journalctl -r` show the newest first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from oomguard.formats.kernel_log import oom_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from oomguard.formats.kernel_log.log_lines import Message
    from oomguard.formats.kernel_log.records import LogTime

_PEEKED = 1000  # messages that decide
_HELD = 20_000  # of a log that is newest first: more are turned part by part
_FEW = 3  # steps between different times that tell a direction
_NEAR = 20  # messages between the two lines that the kernel prints one after the other


def oldest_first(messages: Iterable[Message]) -> Iterator[Message]:
    """Give the messages as they are, or turned round. Holds _PEEKED of them, or _HELD where they are to be turned."""
    given = iter(messages)
    first = list(islice(given, _PEEKED))
    if not _is_newest_first(first):
        yield from first
        yield from given
        return
    held = [*first, *islice(given, _HELD - len(first))]
    while held:
        yield from reversed(held)
        held = list(islice(given, _HELD))


def _is_newest_first(messages: list[Message]) -> bool:
    back = forth = 0
    before: LogTime | None = None
    for message in messages:
        if message.time is None:
            continue
        step = _step(before, message.time) if before else 0
        back, forth = back + (step < 0), forth + (step > 0)
        before = message.time
    if back + forth >= _FEW:
        return back > 3 * forth
    return not forth and _kill_comes_first(messages)


def _step(before: LogTime, after: LogTime) -> float:
    """How much later; 0 where the two cannot be compared."""
    if before.monotonic is not None and after.monotonic is not None:
        return after.monotonic - before.monotonic
    if before.epoch is not None and after.epoch is not None:
        return after.epoch - before.epoch
    same_day = len(before.text) == len(after.text) and before.text[:6] == after.text[:6]
    return (after.text > before.text) - (after.text < before.text) if same_day else 0


def _kill_comes_first(messages: list[Message]) -> bool:
    """All in one second: the kernel writes "oom-kill:" before "Killed process", of the same process."""
    chosen: dict[str, int] = {}
    killed: dict[str, int] = {}
    for place, message in enumerate(messages):
        text = message.text
        if "oom-kill:" in text and (task := oom_lines.TASK.search(text)):
            chosen.setdefault(task["pid"], place)
        elif "Kill" in text and (kill := oom_lines.KILLED.match(text)):
            killed.setdefault(kill["pid"], place)
    steps = [place - killed[pid] for pid, place in chosen.items() if pid in killed and abs(place - killed[pid]) < _NEAR]
    return bool(steps) and all(step > 0 for step in steps)
