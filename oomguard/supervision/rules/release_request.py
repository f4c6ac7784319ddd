"""What a message at the control socket may say: anything else is refused, whoever sent it."""

from __future__ import annotations

import json
from dataclasses import dataclass

from oomguard.kernel.model import LEAST_BUDGET

LONGEST = 4096  # bytes of a message
_MOST = 1 << 50  # bytes of memory: more than any machine has
_KEYS = {"stop", "max_rss", "opens_swap", "swap_max"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """What somebody wants to become of a held job. Sizes in bytes."""

    stop: bool
    max_rss: int | None  # None: what the supervisor itself suggested
    opens_swap: bool
    swap_max: int | None  # with `opens_swap`; None: no limit


def parse_release_request(message: bytes) -> ReleaseRequest:
    """Read one message. Raises: ValueError, which says what is wrong with it."""
    if len(message) >= LONGEST:
        raise ValueError(f"a request of {LONGEST} bytes or more")
    try:
        asked = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ValueError("a request that is not JSON") from error
    if not isinstance(asked, dict) or asked.keys() != _KEYS:
        raise ValueError(f"a request without the keys {', '.join(sorted(_KEYS))}")
    for key in ("stop", "opens_swap"):
        if not isinstance(asked[key], bool):
            raise ValueError(f"{key} that is neither true nor false")  # noqa: TRY004 - one thing to whoever sent it
    return ReleaseRequest(
        stop=asked["stop"],
        max_rss=_size(asked, "max_rss", LEAST_BUDGET),
        opens_swap=asked["opens_swap"],
        swap_max=_size(asked, "swap_max", 0),
    )


def _size(asked: dict[str, object], key: str, least: int) -> int | None:
    size = asked[key]
    if size is None:
        return None
    if not isinstance(size, int) or isinstance(size, bool) or not least <= size <= _MOST:
        raise ValueError(f"{key} that is not a size from {least} to {_MOST} bytes")
    return size
