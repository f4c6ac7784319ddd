"""The page of a profile: what it says, that no name in it is markup, and that it stays small."""

import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.formats.page import as_json
from oomguard.profiling.page import profile_page
from oomguard.profiling.page.drawing import nice_step, size_ticks, time_ticks
from oomguard.profiling.page.timeline import KINDS, MOST_CURVES, MOST_MOMENTS, chart_data, chart_label, thinned
from oomguard.supervision.model import GrownCall, GrownStack, MemorySample, ProcessMemory
from oomguard.units import format_size
from tests.profiling.profiles import GIB, PROFILE, named

HOSTILE = [
    "</script><img src=x onerror=window.owned=1>",
    "\"><svg onload=window.owned=1>'",
    '<b>bold</b><a href="http://evil.example/">x</a><br>%{x}$x$',
    "<!--<script>",
    "&lt;b&gt;&amp;",
    "\u202egnp.exe\u2066",
    "\x1b]0;owned\x07\x1b[31m",
    "a\nb\u2028c\udcff",
    "\u05d0\u05d1\u05d2 (1",
]


class _Structure(HTMLParser):
    """The elements with the names of their attributes, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}",))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_says_what_the_profile_says() -> None:
    text = " ".join(_Structure(profile_page(PROFILE)).text.split())
    peak = format_size(PROFILE.peaks.peak_unreclaimable)
    assert (
        text.index(f"Exit status 137 (SIGKILL) after 60.9 s. Peak {peak}. It does not fit:") < 14000
    )  # the style is before it
    for said in (
        "python data/fineweb/prepare.py train.txt",
        "all of the input needs 119 GiB, 15.0 GiB was available",
        f"Unreclaimable, each page once{peak}the peak: 60.8 s after it began, between two samples, by the kernel's mark",
        "Missed at most12.0 MiB",
        "With page cache",
        "not the peak: one process of the tree",
        "not the peak: a shared page counts once for each process",
        "6.1 GiB54% of the peakdata/fineweb/prepare.py:61 in mainids.extend(enc.encode_ordinary(text))",
        "/usr/bin/zstd (not attributed to a line)",
        "all of train.txt (14.0 GiB) needs about 119 GiB (fit error ± 6.0 GiB), if it is read once",
        "tokenize471120.0 s45.0 s7.1 GiB",
        "write471146.0 snot ended",
        "4711python11.1 GiB60.0 MiB0.0 to 60.8 s",
        "process 4723 ended before its stack could be read",
        "2026-09-21 14:13:20 UTC",
    ):
        assert said in text


def test_what_to_paste_is_set_as_code() -> None:
    assert "<dd><code><span>oomguard</span> <span>run</span> <span>--max-rss</span> <span>512M</span>" in profile_page(
        PROFILE
    )


assert PROFILE.forecast is not None and PROFILE.end is not None
FORECAST, END = PROFILE.forecast, PROFILE.end


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forecast": replace(FORECAST, at_end=None, why_not="it was opened twice")}, "it was opened twice"),
        ({"forecast": replace(FORECAST, at_end=GIB)}, "It fits: all of the input needs 1.0 GiB"),
        ({"forecast": replace(FORECAST, read_bytes=15_000_000_000)}, "All of its input was read; 15.0 GiB was"),
        ({"end": replace(END, exit_code=None)}, "It ended after 60.9 s."),
        ({"forecast": None}, "15.0 GiB was available."),
        ({"end": None}, "The recording ends after 60.8 s, before the program did."),
        ({"timeline": ()}, "No sample was taken."),
        ({"head": replace(PROFILE.head, began=-1e18)}, "an unknown time"),
        ({"lines": PROFILE.lines * 6}, "and 4 more"),
        ({"peaks": replace(PROFILE.peaks, peak_unreclaimable=0)}, "Peak 0 B."),
    ],
)  # fmt: skip
def test_a_profile_that_lacks_something(change: dict[str, Any], said: str) -> None:
    assert said in " ".join(_Structure(profile_page(replace(PROFILE, **change))).text.split())


def elements_but_words(page: str) -> list[tuple[str, ...]]:
    return [each for each in _Structure(page).elements if each not in (("span",), ("/span",))]


@cache
def elements_of_a_plain_page() -> list[tuple[str, ...]]:
    return elements_but_words(profile_page(named("x")))


@settings(max_examples=50)
@given(st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1), st.text("<>&\"'/=a ", min_size=1)).filter(str.strip))
def test_no_name_is_markup(name: str) -> None:
    """The page has the same elements whatever things are called, and no character that does not show."""
    page = profile_page(named(name))
    # In `code` each word has an element of its own, so that a line breaks between them: no name has others.
    assert elements_but_words(page) == elements_of_a_plain_page()
    assert all(c == "\n" or c.isprintable() for c in page)
    page.encode()


def test_data_and_policy_let_nothing_out() -> None:
    """The JSON stands in a script element; the policy names one style and one script, and no address."""
    page = profile_page(named(*HOSTILE))
    data = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert not set("<>&\u2028\u2029") & set(data)
    written = as_json(HOSTILE[:-2])  # whatever comes into the data later
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == HOSTILE[:-2]
    labels = [part["label"] for key in ("processes", "stages") for part in json.loads(data)[key]]
    assert len(labels) == 10
    assert all(label.isprintable() for label in (*labels, *map(chart_label, HOSTILE)))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert re.fullmatch(
        r"default-src 'none'; script-src 'sha256-[^ ;]*'; style-src 'sha256-[^ ;]*'; base-uri 'none'; form-action 'none'",
        policy,
    )
    assert not {name for element in _Structure(page).elements for name in element[1:]} & {"style", "src", "href"}


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1 << 50)), min_size=1, max_size=60), st.integers(8, 40))
def test_thinning_keeps_the_extremes(points: list[tuple[float, int]], most: int) -> None:
    samples = [MemorySample(seconds=s, unreclaimable=u, exact=True, cache=None, processes=()) for s, u in points]
    kept = thinned(samples, most)
    assert len(kept) <= max(most, 1)
    assert [sample.seconds for sample in kept] == sorted(sample.seconds for sample in kept)
    for extreme in (min, max):
        assert extreme(s.seconds for s in kept) == extreme(s.seconds for s in samples)
        assert extreme(s.unreclaimable for s in kept) == extreme(s.unreclaimable for s in samples)


def test_the_chart_has_the_numbers_of_the_profile() -> None:
    """Totals to the byte; a process's kinds to the step that is written beside them; no kind or process is left out."""
    data = chart_data(PROFILE)
    assert data.total == [sample.unreclaimable for sample in PROFILE.timeline]
    for curve, kind in zip(data.kinds, KINDS, strict=True):
        true = [sum(getattr(process, kind) for process in sample.processes) for sample in PROFILE.timeline]
        assert all(0 <= t - d * data.unit < 6 * data.unit for t, d in zip(true, curve.sizes, strict=True))
    drawn = [sum(sizes) for sizes in zip(*(curve.sizes for curve in data.processes), strict=True)]
    true = [sum(process.growing for process in sample.processes) for sample in PROFILE.timeline]
    assert all(0 <= t - d * data.unit < 6 * data.unit for t, d in zip(true, drawn, strict=True))
    assert [stage["lane"] for stage in data.stages] == [0, 0, 1, 0]


@given(st.floats(1, 1e15), st.integers(3, 10))
def test_an_axis_is_in_one_unit_with_round_steps(top: float, most: int) -> None:
    """Few ticks, the first at 0, none above the top, each three digits or fewer in the unit of the axis."""
    ticks = size_ticks(top, most)
    assert 2 <= len(ticks) <= most + 1
    assert ticks[0][0] == 0 and ticks[-1][0] <= top
    assert len({label.split()[1] for _, label in ticks}) == 1
    assert all(float(label.split()[0]) < 1024 for _, label in ticks) or top >= 1 << 50
    times = time_ticks(0.0, top, most)
    assert 2 <= len(times) <= most + 1 and len({label.split()[1] for _, label in times}) == 1


@given(st.floats(1e-9, 1e18), st.integers(1, 12))
def test_a_step_is_nice(whole: float, most: int) -> None:
    step = nice_step(whole, most)
    assert whole / step <= most * 1.000001
    assert f"{step:e}"[0] in "125"


@pytest.mark.slow
def test_a_long_run_of_many_processes_stays_small() -> None:
    """However long the run, however many its processes and stacks, and however long their names."""
    random = Random(1)
    timeline = tuple(
        MemorySample(
            seconds=second * 0.5, unreclaimable=random.randrange(900 * GIB), exact=True, cache=random.randrange(90 * GIB),
            processes=tuple(
                ProcessMemory(pid, random.randrange(9 * GIB), random.randrange(GIB), random.randrange(GIB), random.randrange(GIB))
                for pid in range(100, 140)
            ),
        )
        for second in range(3000)
    )  # fmt: skip
    stacks = tuple(
        GrownStack(
            number=number,
            grew_bytes=GIB,
            calls=tuple(
                GrownCall(file="<" * 4000, line=depth + number, function="&" * 4000, source="'" * 4000)
                for depth in range(60)
            ),
        )
        for number in range(300)
    )
    long = replace(named("n" * 4000), timeline=timeline, stacks=stacks)
    data = chart_data(long)
    assert len(data.seconds) <= MOST_MOMENTS
    assert len(data.processes) == MOST_CURVES + 1
    assert data.processes[-1].label == "28 others"
    assert len(profile_page(replace(long, stacks=())).encode()) < 400_000
    assert len(profile_page(replace(named("&" * 4000), timeline=timeline, stacks=stacks)).encode()) < 900_000
    assert len(profile_page(PROFILE).encode()) < 150_000


def test_the_flame_graph_holds_what_the_stacks_hold() -> None:
    """Each box lies within its caller's, and as wide as its part of the peak."""
    page = profile_page(PROFILE)
    boxes = [
        (int(level), int(x), int(w))
        for level, x, w in re.findall(r'aria-level="(\d+)"[^>]*data-x="(\d+)" data-w="(\d+)"', page)
    ]
    assert boxes[0] == (1, 0, 1_000_000)
    for level, x, w in boxes[1:]:
        assert any(above == level - 1 and left <= x and x + w <= left + wide + 1 for above, left, wide in boxes)
    peak = PROFILE.peaks.peak_unreclaimable
    assert (2, 0, round(1_000_000 * 6200 * (1 << 20) / peak)) in boxes or len(boxes) > 4


def test_a_recording_without_stacks_has_no_flame_graph() -> None:
    assert "Who called whom" not in profile_page(replace(PROFILE, stacks=()))
    assert "Who called whom" in profile_page(PROFILE)
