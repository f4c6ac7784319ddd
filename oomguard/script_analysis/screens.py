"""`oomguard check` for people: each line with what it takes, then the verdict, then the next command."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from oomguard.preparation.reading.text_shape import ENGLISH
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.script_analysis.model import CheckedInput, Finding, ScriptCheck, UnseenLine

_WIDTH = 76  # of a line that is shown
_MOST_UNSEEN = 8


def render(check: ScriptCheck) -> RenderableType:
    """Build the screen."""
    head = Table.grid(padding=(0, 2))
    head.add_column()
    head.add_column(overflow="fold", max_width=_WIDTH - 4)
    head.add_row("script", Text(printable(check.script)))
    if check.input is not None:
        for label, value in _input(check.input):
            head.add_row(label, Text(value))
    said = [_paragraph(sentence) for sentence in (*_verdict(check), *_fixed(check))]
    lines = [*_unseen(check), *_assumptions(check), Text(""), *said, *map(Text, _next(check))]
    return Group(head, *_findings(check.findings), *lines)


def _input(checked: CheckedInput) -> list[tuple[str, str]]:
    wide = f"U+{ord(checked.widest_character):04X}" if checked.widest_character else "-"
    files = f" in {checked.files:,} files" if checked.files > 1 else ""
    stored = f"{checked.character_bytes} byte{'s' * (checked.character_bytes != 1)} per character"
    tokens = f"{checked.bytes_per_token:.2f} bytes per token; the widest character is {wide}, so Python stores {stored}"
    return [("input", f"{printable(checked.path)}  {format_size(checked.text_bytes)} of text{files}"), ("", tokens)]


def _findings(findings: tuple[Finding, ...]) -> list[RenderableType]:
    shown: list[RenderableType] = []
    explained: dict[str, str] = {}
    for finding in findings:
        place = _place(finding)
        shown += [Text(""), Text(_cut(f"{place}  {finding.code}"))]
        rows = Table.grid(padding=(0, 2))
        rows.add_column(width=5)
        rows.add_column(overflow="fold", max_width=66)
        rows.add_row("takes", Text(_takes(finding)))
        if not finding.called:
            rows.add_row("note", Text(f"{finding.function}() is never called in this script, so this is not counted"))
        if finding.rule in explained:
            rows.add_row("why", Text(f"as in {explained[finding.rule]}"))
        else:
            rows.add_row("why", Text(finding.why))
            rows.add_row("do", Text(finding.do))
        explained.setdefault(finding.rule, place)
        shown.append(Padding(rows, (0, 0, 0, 4)))
    return shown


def _place(found: Finding | UnseenLine) -> str:
    cell = f"cell {found.cell}, " if found.cell is not None else ""
    file = f"{printable(found.file)}, " if found.file else ""
    return f"{file}{cell}line {found.line}"


def _takes(finding: Finding) -> str:
    parts = []
    if finding.fixed_bytes:
        parts.append(f"{format_size(finding.fixed_bytes)}, whatever the input")
    if finding.peak_per_byte:
        ratio = f"{finding.held_per_byte:.2f} bytes for each byte of text"
        if finding.peak_per_byte > 1.05 * finding.held_per_byte:
            ratio += f" ({finding.peak_per_byte:.2f} while it is made)"
        parts.append(ratio if finding.held_bytes is None else f"{format_size(finding.held_bytes)}: {ratio}")
    if finding.bytes_per_pair:
        million = finding.bytes_per_pair * 1e10
        parts.append(
            f"{finding.bytes_per_pair:.0f} bytes for each pair of documents: {format_size(int(million))} for 100,000"
        )
    if finding.disk_per_byte:
        parts.append(f"{finding.disk_per_byte:.1f} bytes of disk for each byte of text, and hardly any memory")
    return "; ".join(parts) + (", of one file at a time in each process" if finding.each_file else "")


def _unseen(check: ScriptCheck) -> list[RenderableType]:
    if not check.unseen:
        return []
    lines = [Text(""), Text("not analyzed"), *_places(check.unseen[:_MOST_UNSEEN])]
    if len(check.unseen) > _MOST_UNSEEN:
        lines.append(Text(f"    {len(check.unseen) - _MOST_UNSEEN} more: --json"))
    return lines


def _assumptions(check: ScriptCheck) -> list[RenderableType]:
    if not check.assumptions or check.verdict != "fits":
        return []
    return [Text(""), Text("assuming"), *_places(check.assumptions[:_MOST_UNSEEN])]


def _places(lines: tuple[UnseenLine, ...]) -> list[RenderableType]:
    """Each line, and below it what is said of it."""
    shown: list[RenderableType] = []
    for one in lines:
        shown += [Text(_cut(f"    {_place(one)}  {one.code}")), _paragraph(printable(one.why), indent=8)]
    return shown


def _verdict(check: ScriptCheck) -> list[str]:
    room = f"{format_size(check.available_bytes)} available ({check.limited_by})"
    if check.verdict == "cannot say":
        return [f"cannot say: {_doubt(check)}", room]
    grows = check.counted_findings or check.peak_per_byte > 0
    if check.needed_bytes is not None and grows:
        where = f" ({_peak_place(check)})" if check.peak_line else ""
        needs = f"needs {format_size(check.needed_bytes)} at once{where}"
        short = f", {format_size(check.short_bytes)} too much" if check.short_bytes else ""
        return [f"{check.verdict}: {needs}{short}", room + _enough(check)]
    if check.verdict == "fits":
        if not grows:
            return ["fits: nothing in it grows with the input"]
        return [f"fits: grows by {check.peak_per_byte:.2g} bytes for each byte of text ({_peak_place(check)})",
                room + _enough(check)]  # fmt: skip
    if check.largest_input_bytes is not None:
        whole = check.peak_per_byte > 0
        of = "text" if whole else "each file's text"
        most = max(check.peak_per_byte, check.peak_per_byte_of_each_file)
        what = "" if whole or not most else " a file"
        linear = [f"needs {most:.1f} bytes at once for each byte of {of} ({_peak_place(check)})"] if most else []
        return [
            f"does not fit beyond {format_size(check.largest_input_bytes)} of text{what}:",
            *linear,
            *_pairs(check),
            room,
        ]
    return [f"does not fit: needs {format_size(check.fixed_bytes)} whatever the input", room]


def _pairs(check: ScriptCheck) -> list[str]:
    """What grows with the square of the number of documents."""
    return [
        f"needs {finding.bytes_per_pair:.0f} bytes for each pair of documents ({_place(finding)}), counted as "
        f"{format_size(int(1 / ENGLISH.documents))} each"
        for finding in check.counted_findings
        if finding.bytes_per_pair
    ]


def _peak_place(check: ScriptCheck) -> str:
    return f"{printable(check.peak_file)}, line {check.peak_line}" if check.peak_file else f"line {check.peak_line}"


def _doubt(check: ScriptCheck) -> str:
    known = "nothing that grows was found, but" if not check.counted_findings else "what was found would fit, but"
    lines = "one line" if len(check.unseen) == 1 else f"{len(check.unseen)} lines"
    return f"{known} {lines} of the script could not be analyzed"


def _enough(check: ScriptCheck) -> str:
    return f": enough for {format_size(check.largest_input_bytes)} of text" if check.largest_input_bytes else ""


def _fixed(check: ScriptCheck) -> list[str]:
    imports = f" with {', '.join(check.imports_counted)}" if check.imports_counted else ""
    several = f" in {check.processes} processes" if check.processes and check.processes > 1 else ""
    lines = [f"fixed cost: about {format_size(check.fixed_bytes)} for Python{imports}{several}"]
    missing = [f"what {', '.join(check.imports_not_counted[:6])} takes"] if check.imports_not_counted else []
    if check.processes is None:
        places = sorted({f"line {worker.line}" for worker in check.workers if worker.count is None})
        missing.append(f"the processes of {', '.join(places[:3])}, whose number is known only at run time")
    elif check.processes > 1:
        missing.append("what each worker holds of its part")
    return lines + ([f"not counted: {'; '.join(missing)}"] if missing else [])


def _next(check: ScriptCheck) -> list[str]:
    script = shlex.quote(printable(check.script))
    if check.verdict == "does not fit":
        if check.input is not None:
            return [f"next: oomguard plan {shlex.quote(printable(check.input.path))}    how to do the same job here"]
        return [f"next: oomguard check {script} --input FILE"]
    if check.verdict == "cannot say":
        return [f"next: oomguard profile -- python {script}    measures it by running the script"]
    return []


def _paragraph(sentence: str, *, indent: int = 0) -> RenderableType:
    """A sentence as wide as it reads well, and no wider than the terminal."""
    lines = Table.grid()
    lines.add_column(overflow="fold", max_width=_WIDTH - indent)
    lines.add_row(Text(sentence))
    return Padding(lines, (0, 0, 0, indent))


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 3]}..."
