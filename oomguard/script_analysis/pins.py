"""`check --pin FILE`: the findings that are known, so that CI fails where a new one comes."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from typing import TYPE_CHECKING, Any

from oomguard.errors import BadInput
from oomguard.kernel import safe_files
from oomguard.text import printable, shell_word
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from pathlib import Path

    from oomguard.script_analysis.model import Finding, ScriptCheck

_SCHEMA = "oomguard.check-pin/1"
_LONGEST = 64 * MIB
_KEYS = ("file", "function", "text", "kind")
Pin = tuple[str, str, str, str]


def new_findings(check: ScriptCheck, path: Path) -> tuple[Finding, ...] | None:
    """Give the findings that are not pinned in `path`; None: there was no such file, and now it holds all of them.

    Raises: BadInput if the file is something else, or cannot be read or written.
    """
    pinned = _read(path, check.script)
    if pinned is None:
        _write(path, check)
        return None
    new = []
    for finding in check.findings:
        pin = _pin(finding, check.script)
        if pinned[pin] > 0:
            pinned[pin] -= 1
        else:
            new.append(finding)
    return tuple(new)


def _pin(finding: Finding, script: str) -> Pin:
    return finding.file or script.rpartition("/")[2], finding.function, finding.code, finding.rule


def _read(path: Path, script: str) -> Counter[Pin] | None:
    shown = printable(str(path))
    try:
        # O_NONBLOCK: a pipe of that name is not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadInput(f"{shown} is not a regular file", do=f"ls -l {shell_word(str(path))}")
            if status.st_size > _LONGEST:
                raise BadInput(f"{shown} is longer than {format_size(_LONGEST)}", do=f"ls -l {shell_word(str(path))}")
            content = file.read(_LONGEST)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{shown} cannot be read: {error.strerror}", do=f"ls -l {shell_word(str(path))}") from error
    try:
        pins = json.loads(content)
        known = {_SCHEMA: pins["findings"]}[pins["schema"]]
        return Counter((str(p["file"]), str(p["function"]), str(p["text"]), str(p["kind"])) for p in known)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise BadInput(
            f"{shown} does not hold pinned findings", do=f"oomguard check {shell_word(script)} --pin NEW_FILE"
        ) from error


def _write(path: Path, check: ScriptCheck) -> None:
    pins: list[dict[str, Any]] = [
        dict(zip(_KEYS, _pin(finding, check.script), strict=True)) for finding in check.findings
    ]
    text = json.dumps({"schema": _SCHEMA, "findings": pins}, indent=2, ensure_ascii=False) + "\n"
    try:
        with safe_files.replacing(path, new_only=True) as file:
            file.write(text.encode(errors="replace"))
    except OSError as error:
        shown = printable(str(path))
        raise BadInput(
            f"{shown} cannot be written: {error.strerror}", do="give --pin a file in a directory of yours"
        ) from error
