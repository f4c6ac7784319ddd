"""A chart of a few rows of text, for terminals, pipes and tickets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def chart_rows(points: Sequence[tuple[float, float]], *, width: int, height: int) -> list[str]:
    """Draw (time, value) points, sorted by time, as `height` rows of `width` columns; the highest value fills a column.

    A column shows the highest of its points; one without a point shows the last before it. Raises: nothing.
    """
    if not points or width < 1 or height < 1:
        return []
    first, last = points[0][0], points[-1][0]
    columns, newest = [-1.0] * width, [0.0] * width
    for time, value in points:
        part = min(1.0, max(0.0, (time - first) / (last - first))) if last > first else 0.0
        column = min(width - 1, int(part * width))
        columns[column], newest[column] = max(columns[column], value, 0.0), max(value, 0.0)
    held = 0.0
    for number, value in enumerate(columns):
        columns[number], held = (value, newest[number]) if value >= 0 else (held, held)
    most = max(columns) or 1.0
    eighths = [math.ceil(value / most * height * 8) for value in columns]
    return [
        "".join(_EIGHTHS[min(8, max(0, filled - 8 * row))] for filled in eighths).rstrip()
        for row in range(height - 1, -1, -1)
    ]
