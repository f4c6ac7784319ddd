"""What killed it: read the logs newest first, or the counters where there is none, and explain the kill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.diagnosis.conclude import conclude
from oomguard.diagnosis.filter import Asked, KillFilter, parse_since, read_suspect
from oomguard.diagnosis.kill_search import FoundKills, machine_logs, saved_logs, search_machine, search_saved
from oomguard.kernel.logs.counters import read_oom_counters, units_killed_for_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.diagnosis.result import Diagnosis


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

    `log` is a file, compressed or not, a folder of them, several of both, or "-" for standard input. `since` is a time
    (2026-11-25, 10:30) or an age (2h); `pid` and `name` are the victim's; `every` reads all logs instead of stopping
    at the newest that reports a kill. `script` is the user's program: only kills that may have hit it count, and the
    advice names its line that holds most; `input_file` is what it was to read. With `redact` hosts, users, paths,
    command lines and ids of containers have labels in their place, the same name the same label.
    Raises: NothingFound, NeedsPrivilege or BadInput if the one `log` cannot be read; BadInput for a bad `since`.
    Finding no kill is not an error: the verdict is "none".
    """
    suspect = None
    if script is not None:
        suspect = read_suspect(script, input_file)
    kill_filter = KillFilter(since=parse_since(since) if since else None, pid=pid, name=name or None, script=script)
    asked = Asked(filter=str(kill_filter) or None, script=suspect)
    found = FoundKills()
    if log is not None:
        logs = [str(log)] if isinstance(log, str | Path) else [str(each) for each in log]
        search_saved(found, saved_logs(logs), kill_filter, every=every)
    else:
        search_machine(found, machine_logs(root), kill_filter, every=every)
        if not found.kills and not asked.filter:
            found.units.extend(unit for unit in units_killed_for_memory() if root == Path("/"))
    counters = read_oom_counters(root) if log is None else None
    if redact:
        from oomguard.diagnosis.redaction import redact_all

        found, asked, counters = redact_all(found, asked, counters, kill_filter)
    return conclude(found, asked, counters)
