"""Where in an object or a row the text is: what --text-field says.

`text` is a name; `meta.text` a name in what another name holds; `text|content` the first of several that is there. A
field or column of that very name, dots and bars included, comes before any other reading of it. So it is further in:
`meta.dc.title` may be the `dc.title` in `meta`, and that comes before a `title` in its `dc`.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import Any

_MOST_DOTS = 5  # in a name whose every reading is tried


@cache
def paths_of(spec: str) -> tuple[tuple[str, ...], ...]:
    """Give the places that `spec` may mean, the first choice first."""
    found: list[tuple[str, ...]] = []
    for name in spec.split("|"):
        found += _readings(name)
    return tuple(dict.fromkeys([(spec,), *(path for path in found if all(path))]))


def _readings(name: str) -> list[tuple[str, ...]]:
    """Give the names that one with dots may stand for: those of fewer and longer names first."""
    parts = name.split(".")
    last = len(parts)
    if last - 1 > _MOST_DOTS:
        return [(name,), tuple(parts)]
    found = []
    for count in range(last):
        for cuts in reversed([*combinations(range(1, last), count)]):
            ends = (*cuts, last)
            found.append(tuple(".".join(parts[start:end]) for start, end in zip((0, *cuts), ends, strict=True)))
    return found


def find_field(value: dict[str, Any], spec: str) -> tuple[bool, Any]:
    """Give whether an object has the field, and what is there: the first that is not null, if there are several."""
    found, last = False, None
    for path in paths_of(spec):
        here: Any = value
        for name in path:
            if not isinstance(here, dict) or name not in here:
                break
            here = here[name]
        else:
            if here is not None:
                return True, here
            found, last = True, here
    return found, last
