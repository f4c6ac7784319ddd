"""Before and after: a line is known again when it moved, and every byte of both is told once."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from oomguard.cli.showing import screen
from oomguard.profiling.rules.difference import compare
from oomguard.profiling.screens import render_difference
from oomguard.supervision.model import GrownLine
from tests.profiling.profiles import MIB, PROFILE

LINES = st.lists(
    st.builds(
        GrownLine,
        file=st.sampled_from(["/home/ada/a.py", "/home/ada/b.py"]), line=st.integers(0, 3),
        function=st.sampled_from(["f", "g"]), source=st.sampled_from(["", "x = 1", "y.append(x)"]),
        grew_bytes=st.integers(0, 1 << 30),
    ),
    max_size=6, unique_by=lambda line: (line.file, line.line),
).map(tuple)  # fmt: skip


@given(LINES, LINES)
def test_each_line_of_both_is_told_once(before: tuple[GrownLine, ...], after: tuple[GrownLine, ...]) -> None:
    found = compare(replace(PROFILE, lines=before), replace(PROFILE, lines=after))
    assert sum(each.change for each in found.lines) == sum(a.grew_bytes for a in after) - sum(
        b.grew_bytes for b in before
    )
    assert sorted(id(each.before) for each in found.lines if each.before) == sorted(map(id, before))
    assert sorted(id(each.after) for each in found.lines if each.after) == sorted(map(id, after))
    same = compare(replace(PROFILE, lines=before), replace(PROFILE, lines=before))
    assert all(each.change == 0 for each in same.lines)


def test_a_line_that_moved_and_another_checkout() -> None:
    line = GrownLine(file="/home/ada/p.py", line=3, function="f", source="x.append(y)", grew_bytes=900 * MIB)
    moved = replace(line, file="/tmp/ada/p.py", line=41, source="   x.append(y)", grew_bytes=20 * MIB)
    after = replace(
        PROFILE,
        head=replace(PROFILE.head, folder="/tmp/ada"),
        lines=(moved,),
        peaks=replace(PROFILE.peaks, peak_unreclaimable=PROFILE.peaks.peak_unreclaimable // 4),
    )
    found = compare(replace(PROFILE, lines=(line,)), after)
    assert [(each.before, each.after) for each in found.lines] == [(line, moved)]
    shown = screen(render_difference(found))
    assert "-880 MiB: 900 MiB to 20.0 MiB while in p.py:41 f" in shown
    assert "75% less than before" in shown
    assert "did not both end with status 0" in " ".join(shown.split())


def test_less_than_the_samples_may_have_missed_is_no_change() -> None:
    peaks = replace(PROFILE.peaks, peak_unreclaimable=PROFILE.peaks.peak_unreclaimable + MIB)
    assert "no more than the 12.0 MiB that the samples may have missed" in screen(
        render_difference(compare(PROFILE, replace(PROFILE, peaks=peaks)))
    )
