"""The user's own program beside the kill: which of its lines holds most of its input, where it can be read here."""

from __future__ import annotations

import contextlib
from pathlib import Path

from oomguard.diagnosis.advice.kernel import SuspectScript
from oomguard.errors import OomguardError

_LONGEST = 1 << 20


def read_suspect(script: str, input_file: str | None) -> SuspectScript:
    """Read the script, where that is possible: a log may come from another machine. Raises: nothing."""
    from oomguard.script_analysis.api import check_script

    try:
        findings = check_script(script).findings
    except OomguardError:
        findings = ()
    text = ""
    with contextlib.suppress(OSError), Path(script).open(encoding="utf-8", errors="replace") as file:
        text = file.read(_LONGEST)
    if not findings:
        return SuspectScript(path=script, input_file=input_file, text=text)
    most = max(findings, key=lambda finding: finding.held_per_byte)
    return SuspectScript(
        path=script,
        input_file=input_file,
        line=most.line,
        code=most.code,
        held_per_byte=most.held_per_byte,
        text=text,
    )
