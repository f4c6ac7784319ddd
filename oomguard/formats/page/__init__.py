"""The parts of an HTML page: escaped names, tables that sort, bars, times; and a policy that lets nothing else in.

No style and no script stands in an attribute, so that the policy can name the one style sheet and the one script by
their hashes. Widths are SVG's, which are not styles.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from oomguard.text import Command, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LONGEST = 300  # characters of a name
_TITLE = 160
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table: HTML already. `value` is what it is sorted by: a number, or else its text."""

    html: str
    value: float | None = None
    kind: str = ""  # a class of the style sheet


def document(title: str, *, heading: str, sections: Iterable[str], footer: str, data: Any = None) -> str:
    """Give the page. `heading`, `sections` and `footer` are HTML, made of the parts below; `data` is for the script."""
    style, script = _resource("page.css"), _resource("page.js")
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{safe(cut(title, _TITLE))}</title>",
        f"<style>{style}</style></head><body>",
        f"<header>{heading}</header>\n<main>",
        *sections,
        f"</main>\n<footer><p>{footer}</p></footer>",
        "" if data is None else f'<script type="application/json" id="data">{as_json(data)}</script>',
        f"<script>{script}</script>",
    ]
    return "\n".join(part for part in parts if part) + "\n</body></html>\n"


def _resource(name: str) -> str:
    return files("oomguard.formats.page").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def as_json(value: Any) -> str:
    """Write JSON that cannot end the script element it stands in; all but ASCII is escaped, U+2028 too."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def safe(text: str) -> str:
    """Make text of others safe as HTML, in an element and in a quoted attribute; what does not show is written out."""
    return html.escape(printable(text))


def cut(text: str, most: int = LONGEST) -> str:
    """Shorten what is too long, and say so."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def name(text: str) -> str:
    """Set a foreign name apart, so that letters written from right to left do not reorder what is beside them."""
    return f"<bdi>{safe(cut(text))}</bdi>"


def code(text: str) -> str:
    """A line of code or a command. It breaks between words, and within one only where it is longer than a line."""
    words = printable(text).split(" ")
    return f"<code>{' '.join(f'<span>{html.escape(word)}</span>' if word else '' for word in words)}</code>"


def text_or_code(text: str | Command) -> str:
    """A line of a screen."""
    return code(text.line) if isinstance(text, Command) else safe(text)


def preformatted(text: str, label: str) -> str:
    """Lines as they are: wide ones scroll, with a keyboard too."""
    lines = "\n".join(safe(line) for line in text.split("\n"))
    return f'<pre tabindex="0" role="group" aria-label="{safe(label)}">{lines}</pre>'


def section(title: str, body: str) -> str:
    """A part of the page below a heading of the second level; nothing, without a body."""
    return f"<section><h2>{safe(title)}</h2>\n{body}</section>" if body else ""


def bar(size: float, whole: float, kind: str = "", *, band: float = 0) -> str:
    """Draw `size` of `whole`, and a hatched `band` after it. Decoration: the number stands beside it."""
    part, more = (max(0.0, min(1.0, each / whole)) if whole > 0 else 0.0 for each in (size, band))
    hatched = f'<rect class="band" x="{part:.2%}" width="{min(more, 1 - part):.2%}" height="100%"/>' if more else ""
    return (
        f'<svg class="bar {kind}" aria-hidden="true"><rect class="track" width="100%" height="100%"/>'
        f'<rect width="{max(part, 0.001 if size > 0 else 0):.2%}" height="100%"/>{hatched}</svg>'
    )


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Cell]], *, sortable: bool = True) -> str:
    """A table; the script makes buttons of the headings of a `sortable` one. Nothing, without rows."""
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    if not body:
        return ""
    cells = "".join(f'<th scope="col">{safe(label)}</th>' for label in head)
    kind = "grid sortable" if sortable else "grid"
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="{safe(caption)}"><table class="{kind}">'
        f"<caption>{safe(caption)}</caption><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(cell: Cell) -> str:
    value = "" if cell.value is None else f' data-value="{cell.value:.17g}"'
    kind = f' class="{cell.kind}"' if cell.kind else ""
    return f"<td{kind}{value}>{cell.html}</td>"


def bar_table(caption: str, rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Rows of (kind, label, size, what is beside it), of which label, size and the rest are HTML already."""
    body = "".join(
        f'<tr class="{kind}"><th scope="row">{label}</th><td class="size">{size}</td><td class="wide">{rest}</td></tr>'
        for kind, label, size, rest in rows
    )
    return f'<table class="bars"><caption class="unseen">{safe(caption)}</caption><tbody>{body}</tbody></table>'


def more(rows: Sequence[object], shown: int) -> str:
    """How many rows are left out."""
    return f"<p>and {len(rows) - shown:,} more</p>" if len(rows) > shown else ""


def moment(epoch: float, *, made: float | None = None) -> str:
    """A time, as UTC; the script adds the reader's own and how long ago. `made`: when the page was made."""
    try:
        when = datetime.fromtimestamp(epoch, UTC)
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    before = "" if made is None or made < epoch else f", {length_of(made - epoch)} before this page was made"
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%Y-%m-%d %H:%M:%S} UTC</time>{before}'


def length_of(seconds: float) -> str:
    """A length of time by its two largest units: 93784 -> "1 d 2 h"."""
    rest, parts = max(0, round(seconds)), []
    for unit, label in _UNITS:
        count, rest = divmod(rest, unit)
        parts.append((count, label))
    first = next((at for at, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {label}" for count, label in parts[first : first + 2] if count or label == "s")
