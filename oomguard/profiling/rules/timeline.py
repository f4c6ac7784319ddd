"""Samples of any length of time in bounded memory: neighbours are merged, and the higher of two stays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.profiling.model import MemorySample

MOST_POINTS = 3000


@dataclass(slots=True)
class Timeline:
    """At most `most` samples, evenly thinned; the highest of all is always among them."""

    most: int = MOST_POINTS
    _points: list[MemorySample] = field(default_factory=list)
    _apart: float = 0.0  # seconds; closer ones are merged
    _last: float = float("-inf")

    def add(self, sample: MemorySample) -> None:
        """Add the newest sample."""
        if self._points and sample.seconds - self._last < self._apart:
            if sample.unreclaimable > self._points[-1].unreclaimable:
                self._points[-1] = sample
            return
        self._points.append(sample)
        self._last = sample.seconds
        if len(self._points) > self.most:
            self._halve()

    def __iter__(self) -> Iterator[MemorySample]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)

    def _halve(self) -> None:
        first, last = self._points[0].seconds, self._points[-1].seconds
        self._apart = max(2 * self._apart, 2 * (last - first) / self.most)
        kept: list[MemorySample] = []
        begin = float("-inf")
        for point in self._points:
            if point.seconds - begin >= self._apart:
                kept.append(point)
                begin = point.seconds
            elif point.unreclaimable > kept[-1].unreclaimable:
                kept[-1] = point
        if len(kept) > 1 + self.most // 2:  # they were all taken at one moment
            kept = [max(kept[at : at + 2], key=lambda point: point.unreclaimable) for at in range(0, len(kept), 2)]
        self._points, self._last = kept, begin
