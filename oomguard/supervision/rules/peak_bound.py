"""How much a job can have held between two samples: by the kernel's high-water mark, which counts page cache too."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class PeakBound:
    """Takes samples in order. Units: bytes.

    The mark is that of the time since the one before. What of it was page cache at that moment is not known: at least
    as much is taken as was there when there was least of it, at the samples around.
    """

    at_most: int | None = None  # None: there was no mark yet
    _least_cache: int = 0

    def take(self, unreclaimable: int, cache: int, mark: int | None) -> None:
        """Take a sample with the mark since the last that had one; None: it was not asked for."""
        self._least_cache = min(self._least_cache, cache)
        if mark is not None:
            self.at_most = max(self.at_most or 0, mark - self._least_cache, unreclaimable)
            self._least_cache = cache
        elif self.at_most is not None:
            self.at_most = max(self.at_most, unreclaimable)
