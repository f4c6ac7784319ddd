"""Which documents a validation split takes: evenly through the corpus, the same ones however it is read."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any


class ValSplit:
    """Takes a fraction of the documents by their number: with 0.0005 each 2000th, beginning with the first."""

    def __init__(self, fraction: str | float) -> None:
        """Take `fraction`, from 0 to 1; a text keeps it exact."""
        self._fraction = Fraction(str(fraction))
        if not 0 <= self._fraction <= 1:
            raise ValueError(f"a fraction is from 0 to 1, got {fraction}")

    def _taken_before(self, document: int) -> int:
        return ceil(document * self._fraction)

    def is_val(self, document: int) -> bool:
        """Whether document number `document`, from 0, is for validation."""
        return self._taken_before(document + 1) > self._taken_before(document)

    def mask(self, first: int, count: int) -> Any:
        """Which of `count` documents from number `first` on are for validation: bool[count]."""
        import numpy as np

        mask = np.zeros(count, bool)
        val = self.next_val(first)
        while val is not None and val < first + count:
            mask[val - first] = True
            val = self.next_val(val + 1)
        return mask

    def next_val(self, document: int) -> int | None:
        """Give the first document from `document` on that is for validation; None: there is none."""
        if not self._fraction:
            return None
        # Number k is taken at the smallest i with ceil((i + 1) * f) > k, which is floor(k / f).
        return self._taken_before(document) * self._fraction.denominator // self._fraction.numerator
