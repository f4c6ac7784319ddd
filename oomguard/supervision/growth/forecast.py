"""How far a job is in its inputs, and from how memory grew meanwhile what the end of the file will need."""

from __future__ import annotations

import itertools
from dataclasses import field
from typing import TYPE_CHECKING

from oomguard.kernel.machine import read_available
from oomguard.kernel.proc.open_files import read_open_inputs
from oomguard.records import dataclass
from oomguard.units import MIB

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.kernel.model import OpenInput

    InputForecast = tuple["Forecast", OpenInput]

_LEAST_SAMPLES = 5
_LEAST_READ_FRACTION = 0.03
_MOST_RESIDUAL_FRACTION = 0.15  # of the rise: more is no straight line
_FORECAST_MARGIN = 1.1
_WITHOUT_FORECAST = 1.5
_OF_AVAILABLE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSample:
    """One look at a job. Units: bytes."""

    position: int  # how far it is in its input
    unreclaimable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A straight line through the samples. Units: bytes."""

    at_end: int  # unreclaimable memory when the whole input was read
    base: int  # what it would hold without having read anything
    per_byte: float  # bytes of memory for each byte of input
    read_fraction: float  # how much of the input the line is drawn from
    residual: int  # the furthest that a sample lies off the line


def forecast_end(samples: Sequence[ReadSample], size: int) -> Forecast | None:
    """Draw the line of memory against the position in an input of `size` bytes, oldest sample first.

    None: not enough was read to say; the position went back (the file is read more than once); or the
    samples lie on no straight line. It is right only for a program that reads its input once, bit by bit:
    one that reads it whole, or twice, grows in ways its first samples do not show.
    """
    if len(samples) < _LEAST_SAMPLES or size <= 0:
        return None
    positions = [float(sample.position) for sample in samples]
    if any(after < before for before, after in itertools.pairwise(positions)):
        return None
    if positions[-1] - positions[0] < _LEAST_READ_FRACTION * size or len(set(positions)) < _LEAST_SAMPLES:
        return None
    memory = [float(sample.unreclaimable) for sample in samples]
    base, per_byte = least_squares(positions, memory)
    residual = max(abs(base + per_byte * x - y) for x, y in zip(positions, memory, strict=True))
    rise = per_byte * (positions[-1] - positions[0])
    if rise <= 0 or residual > _MOST_RESIDUAL_FRACTION * rise:
        return None
    return Forecast(
        at_end=max(0, int(base + per_byte * size)),
        base=int(base),
        per_byte=per_byte,
        read_fraction=positions[-1] / size,
        residual=int(residual),
    )


def least_squares(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """The line nearest to the points: (value at x = 0, slope). Centred first, as positions are large numbers."""
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle_x) ** 2 for x in xs)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / spread
    return middle_y - slope * middle_x, slope


_MOST_SAMPLES = 400
_MOST_INPUTS = 16
_MOST_LOOKED_AT = 500
_READ_IN_ONE_GO = 0.5  # of the file between two looks
_COMPARABLE = 0.25  # of the largest input: so large a file is a part of the input, not a vocabulary
_BACK = 1 << 20  # bytes; readers look back a little at times
_FLAT_BYTES, _FLAT_PART = 4 << 20, 0.03  # memory that rises and falls by less has stopped to grow
_FLAT_READ, _FLAT_SAMPLES = 0.05, 5
_UNKNOWN = "too little has been read so far, or memory did not grow in a straight line"


@dataclass(slots=True)
class _Input:
    size: int
    samples: list[ReadSample] = field(default_factory=list)
    pid: int = 0
    is_open: bool = True
    withdrawn: str = ""  # why nothing can be said

    @property
    def was_read(self) -> bool:
        """More than a header: the loader of shared libraries reads one, and maps the rest."""
        return bool(self.samples) and self.samples[-1].position > _BACK


@dataclass(slots=True)
class ReadProgress:
    """Follows the inputs. A forecast from one is withdrawn when it is read again, or by a second process."""

    _inputs: dict[str, _Input] = field(default_factory=dict)

    def take(self, opened: Sequence[OpenInput], unreclaimable: int) -> None:
        """Take one look at the open files (largest first), when the tree held so much."""
        seen: dict[str, int] = {}  # with the position of this look
        for one in opened[:_MOST_LOOKED_AT]:
            if one.path in seen and abs(one.position - seen[one.path]) <= _BACK:
                continue  # a forked worker has its parent's file: the same position, which any of them moves
            seen.setdefault(one.path, one.position)
            self._take_one(one, unreclaimable)
        for path, known in self._inputs.items():
            known.is_open = path in seen

    def _take_one(self, opened: OpenInput, unreclaimable: int) -> None:
        known = self._inputs.get(opened.path)
        if known is None:
            if len(self._inputs) >= _MOST_INPUTS:
                return
            known = self._inputs[opened.path] = _Input(size=opened.size, pid=opened.pid)
        last = known.samples[-1].position if known.samples else 0
        if opened.position + _BACK < last or (not known.is_open and last > 0 and opened.position < last):
            known.withdrawn = "it is read more than once"
        elif opened.pid != known.pid and last > 0 and opened.position > 0:
            known.withdrawn = "several processes read it"
        elif opened.position - last > _READ_IN_ONE_GO * opened.size and opened.size > _BACK:
            known.withdrawn = "it was read in one go"
        known.size = max(known.size, opened.size)
        if known.samples and known.samples[-1].position >= opened.position:
            # No line is drawn from standing still, but what grows without reading must show: the last one counts.
            known.samples[-1] = ReadSample(position=known.samples[-1].position, unreclaimable=unreclaimable)
        else:
            known.samples.append(ReadSample(position=opened.position, unreclaimable=unreclaimable))
        if len(known.samples) > _MOST_SAMPLES:
            del known.samples[1:-1:2]

    def main_input(self) -> tuple[str, int, int] | None:
        """The largest input: its path, how far it was read, and its size. Units: bytes. None: no file was seen.

        One that was closed before it was read, such as a library, counts only where there is no other.
        """
        likely = {path: one for path, one in self._inputs.items() if one.was_read or one.is_open} or self._inputs
        path = max(likely, key=lambda one: likely[one].size, default=None)
        if path is None:
            return None
        known = self._inputs[path]
        return path, known.samples[-1].position if known.samples else 0, known.size

    def forecast(self) -> Forecast | str:
        """What the whole of the largest input will need; or why that cannot be said."""
        main = self.main_input()
        if main is None:
            return "no file of its own was seen open: what it reads is not known"
        known = self._inputs[main[0]]
        if known.withdrawn:
            return known.withdrawn
        if sum(one.size >= _COMPARABLE * known.size for one in self._inputs.values() if one.was_read) > 1:
            return "several files are read, and what all of them need is not known"
        if main[1] == 0:
            return "its position stays at 0: it is mapped, or read with pread()"
        return forecast_end(known.samples, known.size) or _flat(known) or _UNKNOWN


def _flat(known: _Input) -> Forecast | None:
    """The forecast for a program that streams: what it holds does not depend on how far it is."""
    later = known.samples[len(known.samples) // 4 :]  # the beginning is its start-up
    if len(later) < _FLAT_SAMPLES or later[-1].position - later[0].position < _FLAT_READ * known.size:
        return None
    held = [sample.unreclaimable for sample in later]
    if max(held) - min(held) > _FLAT_BYTES + _FLAT_PART * max(held):
        return None
    return Forecast(
        at_end=max(held),
        base=max(held),
        per_byte=0.0,
        read_fraction=later[-1].position / known.size,
        residual=max(held) - min(held),
    )


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
