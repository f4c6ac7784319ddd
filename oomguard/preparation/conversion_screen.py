"""What `convert` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from oomguard.preparation.conversion import Conversion

_SHOWN = 6


def render(done: Conversion) -> RenderableType:
    """Build the screen for people."""
    screen = Table.grid(padding=(0, 2))
    screen.add_column()
    screen.add_column(overflow="fold")
    documents = "documents not known" if done.documents is None else f"{done.documents:,} documents"
    lines = [
        ("already done" if done.already_done else "done", printable(done.folder)),
        ("from", f"{printable(done.source)}  {done.source_format}"),
        ("wrote", f"{done.tokens:,} tokens, {documents} ({done.format}, {8 * done.token_bytes} bits per token)"),
        *(("", f"{printable(shard['path'])}  {shard['tokens']:,} tokens") for shard in done.shards[:_SHOWN]),
    ]
    if len(done.shards) > _SHOWN:
        lines.append(("", f"and {len(done.shards) - _SHOWN} more"))
    lines += [("lost", what) for what in done.lost] + [("note", note) for note in done.notes]
    for label, value in lines:
        screen.add_row(label, Text(value))
    return Group(screen, *(Text(line) for line in ("", *done.next_lines)))
