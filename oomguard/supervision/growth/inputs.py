"""The input files that a job reads, how far it is in each, what it held then; and what that says of the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oomguard.kernel.machine import read_headroom
from oomguard.kernel.proc.open_files import read_open_inputs
from oomguard.supervision.growth.forecast import Forecast, ReadSample, forecast_end
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import OpenInput

    InputForecast = tuple[Forecast, OpenInput]

_MOST_SAMPLES = 200
_MOST_INPUTS = 32
_FORECAST_MARGIN = 1.1
_WITHOUT_FORECAST = 1.5
_OF_AVAILABLE = 0.9


class InputGrowth:
    """Call look(), then take() with what the job holds. Units: bytes."""

    def __init__(self) -> None:
        """No input is known yet."""
        self._read: dict[tuple[int, str], list[ReadSample]] = {}
        self._inputs: list[OpenInput] = []

    def look(self, pids: Sequence[int]) -> None:
        """See what the processes read, and where they are in it."""
        self._inputs = read_open_inputs(pids)[:_MOST_INPUTS]

    def take(self, unreclaimable: int) -> None:
        """The job holds so much there."""
        for opened in self._inputs:
            samples = self._read.setdefault((opened.pid, opened.path), [])
            samples.append(ReadSample(position=opened.position, unreclaimable=unreclaimable))
            if len(samples) > _MOST_SAMPLES:
                del samples[1:-1:2]  # every other one: the line keeps its length

    def forecast(self) -> InputForecast | None:
        """Of the inputs that have a line, the largest one's."""
        for opened in self._inputs:  # largest first
            found = forecast_end(self._read.get((opened.pid, opened.path), ()), opened.size)
            if found is not None:
                return found, opened
        return None


def suggest_budget(budget: int, forecast: InputForecast | None) -> int:
    """With how much more a held job could continue: what the line says, or half as much again; if it is there."""
    wanted = forecast[0].at_end * _FORECAST_MARGIN if forecast is not None else budget * _WITHOUT_FORECAST
    most = budget + read_headroom().available * _OF_AVAILABLE
    return max(int(min(max(wanted, budget * _FORECAST_MARGIN), most)) // MIB * MIB, budget)
