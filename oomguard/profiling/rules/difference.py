"""Two profiles of one program, before and after it was changed: what each line held then and now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oomguard.profiling.model import PeakProfile
    from oomguard.supervision.model import GrownLine


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChange:
    """A line of either profile. None: that one has no such line. Units: bytes."""

    before: GrownLine | None
    after: GrownLine | None

    @property
    def change(self) -> int:
        """How much more it holds at the peak now."""
        return (self.after.grew_bytes if self.after else 0) - (self.before.grew_bytes if self.before else 0)

    @property
    def line(self) -> GrownLine:
        """It as it is now, or as it was."""
        found = self.after or self.before
        assert found is not None
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDifference:
    """`lines`: those that changed most first."""

    before: PeakProfile
    after: PeakProfile
    lines: tuple[LineChange, ...]

    @property
    def change(self) -> int:
        """How much higher the peak is now. Units: bytes."""
        return self.after.peaks.peak_unreclaimable - self.before.peaks.peak_unreclaimable

    @property
    def uncertain(self) -> int:
        """How much of the change may be what samples missed. Units: bytes."""
        return max(self.before.peaks.missed_at_most, self.after.peaks.missed_at_most)

    def to_json(self) -> dict[str, Any]:
        """Give the same facts for programs. Units: bytes, seconds."""
        return {
            "schema": "oomguard.profile_difference/1",
            "before": _side(self.before),
            "after": _side(self.after),
            "change": self.change,
            "uncertain": self.uncertain,
            "lines": [
                {
                    "file": each.line.file,
                    "function": each.line.function,
                    "source": each.line.source,
                    "before": {"line": each.before.line, "grew_bytes": each.before.grew_bytes} if each.before else None,
                    "after": {"line": each.after.line, "grew_bytes": each.after.grew_bytes} if each.after else None,
                    "change": each.change,
                }
                for each in self.lines
            ],
        }


def compare(before: PeakProfile, after: PeakProfile) -> ProfileDifference:
    """Put the lines of two profiles side by side.

    A change moves lines, so one that does not stand where it stood is known again by its text within its function.
    """
    left = list(after.lines)
    pairs: dict[int, GrownLine] = {}
    for same in (_same_place, _same_text):
        for number, line in enumerate(before.lines):
            at = next((at for at, other in enumerate(left) if same(before, line, after, other)), None)
            if number not in pairs and at is not None:
                pairs[number] = left.pop(at)
    changes = [LineChange(before=line, after=pairs.get(number)) for number, line in enumerate(before.lines)]
    changes += [LineChange(before=None, after=line) for line in left]
    return ProfileDifference(before=before, after=after, lines=_largest_first(changes))


def _largest_first(changes: Sequence[LineChange]) -> tuple[LineChange, ...]:
    return tuple(sorted(changes, key=lambda each: (-abs(each.change), each.line.file, each.line.line)))


def _place(profile: PeakProfile, line: GrownLine) -> tuple[str, str]:
    """The file as seen from where the program began: the two may lie in two checkouts."""
    return line.file.removeprefix(profile.head.folder.rstrip("/") + "/"), line.function


def _same_place(before: PeakProfile, line: GrownLine, after: PeakProfile, other: GrownLine) -> bool:
    """The same line, with the same text where that is known of both."""
    known = line.source.strip() and other.source.strip()
    is_there = (*_place(before, line), line.line) == (*_place(after, other), other.line)
    return is_there and (not known or line.source.strip() == other.source.strip())


def _same_text(before: PeakProfile, line: GrownLine, after: PeakProfile, other: GrownLine) -> bool:
    text = line.source.strip()
    return bool(text) and (*_place(before, line), text) == (*_place(after, other), other.source.strip())


def _side(profile: PeakProfile) -> dict[str, Any]:
    peaks = profile.peaks
    return {
        "command": list(profile.head.command),
        "peak_unreclaimable": peaks.peak_unreclaimable,
        "missed_at_most": peaks.missed_at_most,
        "exit_code": profile.end.exit_code if profile.end else None,
        "wall_seconds": profile.end.seconds if profile.end else None,
    }
