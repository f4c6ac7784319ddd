"""What killed it: read the logs newest first, or the counters where there is none, and explain the kill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.diagnosis.conclude import conclude
from oomguard.diagnosis.filter import Asked, KillFilter, parse_since
from oomguard.diagnosis.kill_search import FoundKills, search_machine, search_saved
from oomguard.diagnosis.log_reading import IDENTIFIERS
from oomguard.kernel.logs.counters import read_oom_counters, units_killed_for_memory
from oomguard.kernel.logs.sources import find_sources, named_sources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.diagnosis.result import Diagnosis
    from oomguard.formats.cgroup import OomCounters


def diagnose(
    log: str | Path | Sequence[str | Path] | None = None,
    *,
    since: str | None = None,
    pid: int | None = None,
    name: str | None = None,
    script: str | None = None,
    input_file: str | None = None,
    every: bool = False,
    redact: bool = False,
    root: Path = Path("/"),
) -> Diagnosis:
    """Explain the newest kill for lack of memory, in saved logs or (None) on this machine.

    `log` is a file, plain or packed, a folder of them, several of both, or "-" for standard input. `since` is a time
    (2026-11-25, 10:30) or an age (2h); `pid` and `name` are the victim's; `every` reads all logs instead of stopping
    at the newest that tells of a kill. `script` is the user's program: only kills that may have been it count, and the
    advice names its line that holds most; `input_file` is what it was to read. With `redact` hosts, users, paths,
    command lines and ids of containers have labels in their place, the same name the same label.
    Raises: NothingFound, NeedsPrivilege or BadInput if the one `log` cannot be read; BadInput for a bad `since`.
    Finding no kill is not an error: the verdict is "none".
    """
    suspect = None
    if script is not None:
        from oomguard.diagnosis.script import read_suspect

        suspect = read_suspect(script, input_file)
    kill_filter = KillFilter(since=parse_since(since) if since else None, pid=pid, name=name or None, script=script)
    asked = Asked(filter=str(kill_filter) or None, script=suspect)
    found = FoundKills()
    if log is not None:
        logs = [str(log)] if isinstance(log, str | Path) else [str(each) for each in log]
        search_saved(found, named_sources(logs), kill_filter, every=every)
        return _conclude(found, asked, None, kill_filter=kill_filter if redact else None)
    search_machine(found, find_sources(root, IDENTIFIERS), kill_filter, every=every)
    if not found.kills and not asked.filter:
        found.units.extend(unit for unit in units_killed_for_memory() if root == Path("/"))
    return _conclude(found, asked, read_oom_counters(root), kill_filter=kill_filter if redact else None)


def _conclude(
    found: FoundKills, asked: Asked, counters: OomCounters | None, *, kill_filter: KillFilter | None
) -> Diagnosis:
    """Explain what was found; with a `kill_filter`, as it is when all names are redacted."""
    if kill_filter is None:
        return conclude(found, asked, counters)
    from oomguard.diagnosis.redaction import redact, redact_asked

    redacted, counters, redactor = redact(found, counters)
    return conclude(redacted, redact_asked(redactor, asked, kill_filter), counters)
