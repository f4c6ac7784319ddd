"""The input files that a job reads, how far it is in each, what it held then; and what that says of the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.machine import read_available
from oomguard.kernel.proc.open_files import read_open_inputs
from oomguard.supervision.growth.forecast import Forecast, ReadProgress
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import OpenInput

    InputForecast = tuple[Forecast, OpenInput]

_FORECAST_MARGIN = 1.1
_WITHOUT_FORECAST = 1.5
_OF_AVAILABLE = 0.9


class InputGrowth:
    """Call look(), then take() with what the job holds. Units: bytes."""

    def __init__(self) -> None:
        """No input is known yet."""
        self._progress = ReadProgress()
        self._opened: Sequence[OpenInput] = ()

    def look(self, pids: Sequence[int]) -> None:
        """See what the processes read, and where they are in it."""
        self._opened = read_open_inputs(pids)

    def take(self, unreclaimable: int) -> None:
        """The job holds so much there."""
        self._progress.take(self._opened, unreclaimable)

    def forecast(self) -> InputForecast | None:
        """What the main input will need by its end, while it is read. None: that cannot be said, or it is no more."""
        found, main = self._progress.forecast(), self._progress.main_input()
        if isinstance(found, str) or main is None or not found.per_byte:
            return None
        return next(((found, opened) for opened in self._opened if opened.path == main[0]), None)


def suggest_budget(budget: int, forecast: InputForecast | None) -> int:
    """With how much more a held job could continue: what the line says, or half as much again; if it is there."""
    wanted = forecast[0].at_end * _FORECAST_MARGIN if forecast is not None else budget * _WITHOUT_FORECAST
    available = read_available()
    most = budget + available * _OF_AVAILABLE if available is not None else float("inf")
    return max(int(min(max(wanted, budget * _FORECAST_MARGIN), most)) // MIB * MIB, budget)
