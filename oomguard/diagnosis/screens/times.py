"""When something was, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oomguard.formats.kernel_log.records import LogTime


def when_text(time: LogTime | None) -> str:
    """When, with a comma before. A time that counts from boot is told in hours: nobody knows what [41369.8] is."""
    if time is None or not time.text:
        return ""
    if time.epoch is not None or time.monotonic is None or not time.text.startswith("["):
        return f", {time.text}"
    minutes, seconds = divmod(round(time.monotonic), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), 3)
    return f", {' '.join(f'{count} {unit}' for count, unit in parts[first : first + 2])} after the machine was started"
