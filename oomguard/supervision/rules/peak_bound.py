"""How much a job can have held between two samples: by the kernel's high-water mark, which counts page cache too."""

from __future__ import annotations

from dataclasses import dataclass

_LITTLE_CACHE = 10  # one byte in so many: more of it, and the mark says little of the rest


@dataclass(slots=True)
class PeakBound:
    """Takes samples in order. Units: bytes.

    The mark is that of the time since the one before. How much of it was page cache at that moment nobody knows, so all
    of it counts; and where much page cache was there, no bound is given.
    """

    _at_most: int | None = None
    _is_known: bool = True

    @property
    def at_most(self) -> int | None:
        """The bound; None: there was no mark yet, or much of it may have been page cache."""
        return self._at_most if self._is_known else None

    def take(self, unreclaimable: int, cache: int, mark: int | None) -> None:
        """Take a sample with the mark since the last that had one; None: it was not asked for."""
        if mark is not None:
            self._at_most = max(self._at_most or 0, mark, unreclaimable)
            if cache * _LITTLE_CACHE > mark:
                self._is_known = False
        elif self._at_most is not None:
            self._at_most = max(self._at_most, unreclaimable)
