"""A diagnosis as one HTML page that needs nothing else: to attach to a ticket."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from oomguard.diagnosis.screens.detail import detail_blocks
from oomguard.diagnosis.screens.layout import Screen
from oomguard.diagnosis.screens.summary import lines_of
from oomguard.text import printable
from oomguard.units import format_size

if TYPE_CHECKING:
    from oomguard.diagnosis.causes.model import Accounting
    from oomguard.diagnosis.model import Findings

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --bar: #4878a8; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .4rem 1.2rem; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
code, pre { font: 14px/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; border: 1px solid var(--line); padding: .8rem; }
table { border-collapse: collapse; width: 100%; } td { padding: .15rem .6rem .15rem 0; white-space: nowrap; }
td.bar { width: 60%; } td.bar div { background: var(--bar); height: .8rem; min-width: 1px; }
td.size { text-align: right; font-variant-numeric: tabular-nums; } tr.nested td { opacity: .7; }
"""


def diagnosis_page(diagnosis: Findings, *, made: str) -> str:
    """Give the page. `made` says by what and when. Nothing from a log gets in unescaped, and no script is in it."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>oomguard: {_safe(diagnosis.verdict)}</title><style>{_STYLE}</style></head><body>",
        "<h1>Killed for lack of memory?</h1>",
        _summary(diagnosis),
    ]
    for explained in diagnosis.events:
        name = explained.event.victims[0].name if explained.event.victims else "no victim"
        when = explained.event.time.text if explained.event.time else ""
        parts.append(f"<h2>{_safe(name)} {_safe(when)}</h2>")
        accounting = explained.cause.accounting
        if accounting is not None and accounting.shares:
            parts.append(_accounting(accounting))
        blocks = detail_blocks(explained)[1 if accounting and accounting.shares else 0 :]
        parts.append(f"<pre>{_safe_lines(Screen(blocks).text(120))}</pre>")
    if diagnosis.others:
        parts.append("<h2>Kills by programs</h2>")
        parts.append(f"<pre>{_safe_lines(chr(10).join(other.line for other in diagnosis.others))}</pre>")
    parts.append(f"<p><small>{_safe(made)}</small></p></body></html>")
    return "\n".join(parts) + "\n"


def _summary(diagnosis: Findings) -> str:
    rows = []
    for label, value in lines_of(diagnosis):
        shown = f"<code>{_safe(value.strip())}</code>" if value.startswith("   ") else _safe(value)
        rows.append(f"<dt>{_safe(label)}</dt><dd>{shown}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _accounting(accounting: Accounting) -> str:
    rows = [(share.label, share.size, share.within is not None) for share in accounting.shares]
    if accounting.unaccounted > 0:
        rows.append(("not listed by the kernel", accounting.unaccounted, False))
    shown = "".join(
        f"<tr{' class=nested' if nested else ''}><td>{_safe(label)}</td><td class=size>{format_size(size)}</td>"
        f'<td class=bar><div style="width:{max(0.0, min(1.0, size / accounting.total)):.1%}"></div></td></tr>'
        for label, size, nested in rows
    )
    return f"<h2>Where {format_size(accounting.total)} of memory was</h2><table>{shown}</table>"


def _safe(text: str) -> str:
    return html.escape(printable(text))


def _safe_lines(text: str) -> str:
    return "\n".join(_safe(line) for line in text.split("\n"))
