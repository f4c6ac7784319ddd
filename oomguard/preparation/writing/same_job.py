"""Whether the shards in a folder are those of the job that is asked for now: the header of its manifest, compared."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from oomguard.errors import Changed
from oomguard.preparation.writing.manifest_lines import is_count
from oomguard.text import printable
from oomguard.units import format_size

_NEWER = ("text_ends",)  # keys of the header that earlier versions did not write
_TOUCHES = ("changed", "inode", "ctime")  # of an input
_YEAR_9999 = 253_370_764_800 * 10**9  # nanoseconds; datetime ends there


def is_same(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether two headers are of the same job."""
    return old.keys() == new.keys() and all(_content(old[key]) == _content(new[key]) for key in new)


def _content(value: Any) -> Any:
    """Leave out what may differ between files of the same bytes: require_same_inputs() sees to those."""
    if isinstance(value, list):
        return [_content(item) for item in value]
    return {key: value[key] for key in value if key not in _TOUCHES} if isinstance(value, dict) else value


def require_same(lines: list[dict[str, Any]], new: dict[str, Any]) -> None:
    """What was made of these lines is what is asked for now.

    Raises: Changed with the first thing that differs.
    """
    old = lines[0]
    for key in dict.fromkeys([*new, *old]):  # in the order of the header: the input first
        before, now = old.get(key), new.get(key)
        if key == "input" and isinstance(before, list) and isinstance(now, list):
            before, now = _begun(lines, before, now)
        if _content(before) != _content(now) and not (key in _NEWER and key not in old):
            more = ""
            is_longer = isinstance(now, list) and isinstance(before, list) and len(now) > len(before)
            if key == "input" and is_longer and "shuffle" not in new:
                more = "--extend to add the new inputs; "
            for detail in _DETAIL:
                was, is_now = _words(before, now, detail), _words(now, before, detail)
                if was != is_now:
                    break
            raise Changed(
                f"another job's shards are here: {key} was {was}, and now it is {is_now}",
                do=f"{more}another --out FOLDER; or the input and options of before, to resume; "
                "or --restart to start over here",
            )


def _begun(lines: list[dict[str, Any]], before: list[Any], now: list[Any]) -> tuple[list[Any], list[Any]]:
    """Give what has to be the same of the inputs: those that were read, and of one under way not its size.

    What was read of that one has a checksum. Of a text the size matters: its end may be for validation.
    """
    if any("result" in line for line in lines):
        return before, now
    point: dict[str, Any] = next((line["checkpoint"] for line in reversed(lines) if "checkpoint" in line), {})
    position: Any = point.get("position") or {}
    done = position.get("source", 0) if is_count(position.get("source", 0)) else len(before)
    under_way = bool(position.keys() & {"offset", "resume"})
    before, now = before[: done + under_way], now[: done + under_way]
    if under_way and len(before) == len(now) == done + 1 and before[done].get("kind") != "text":
        before, now = ([*some[:done], some[done] | {"bytes": None}] for some in (before, now))
    return before, now


# How much is told of a file: the least that shows how it differs. Last to the byte and the microsecond.
_Detail = Literal["size", "time", "exact"]
_DETAIL: tuple[_Detail, ...] = ("size", "time", "exact")


def _words(value: Any, other: Any, detail: _Detail) -> str:
    """A value of the header for people; of a list of files, the first one that the other does not have."""
    if isinstance(value, list):
        others = {json.dumps(item, sort_keys=True) for item in other} if isinstance(other, list) else set()
        differs = next((item for item in value if json.dumps(item, sort_keys=True) not in others), None)
        differs = value[0] if differs is None and value else differs
        more = f" and {len(value) - 1} more" if len(value) > 1 else ""
        return f"{_words(differs, None, detail)}{more}"
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        size: Any = value.get("bytes")
        changed: Any = value.get("changed")
        words = []
        if is_count(size):  # of a stream, and of one under way, it is left out
            words.append(f"{size:,} bytes" if detail == "exact" else format_size(size))
        if detail != "size" and is_count(changed) and changed < _YEAR_9999:
            when = datetime.fromtimestamp(changed / 1e9).astimezone()
            micro = f".{when:%f}" if detail == "exact" else ""
            words.append(f"changed {when:%Y-%m-%d %H:%M:%S}{micro}")
        return printable(value["path"]) + (f" ({', '.join(words)})" if words else "")
    return json.dumps(value)
