"""Which function or method does what: the modules beside this one write themselves into these tables when imported.

Sources: the libraries' own documentation; what each holds was measured (oomguard.preparation.reading.text_shape).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from oomguard.script_analysis.interpreter.calls import Handler

FUNCTIONS: dict[str, Handler] = {}  # by dotted name, or by the last two parts of it
LAST_NAMES: dict[str, Handler] = {}  # whatever they are imported from
METHODS: dict[str, Handler] = {}  # by the kind of their owner
FRAME_METHODS: set[str] = set()  # of tables; any other attribute of one is a column
ANYWHERE: dict[str, Handler] = {}  # methods that tell by their name what they do, whatever they are called on


def methods_of(kinds: Iterable[str], handler: Handler) -> None:
    """Register what all methods of these kinds of values do."""
    METHODS.update(dict.fromkeys(kinds, handler))
