"""Where in an object or a row the text is: what --text-field says.

`text` is a name; `meta.text` a name in what another name holds; `text|content` the first of several that is there. A
field or column of that very name, dots and bars included, comes before any other reading of it.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def paths_of(spec: str) -> tuple[tuple[str, ...], ...]:
    """Give the places that `spec` may mean, the first choice first."""
    found: list[tuple[str, ...]] = [(spec,)]
    for name in spec.split("|"):
        found += [(name,), tuple(name.split("."))]
    return tuple(dict.fromkeys(path for path in found if all(path)))


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
