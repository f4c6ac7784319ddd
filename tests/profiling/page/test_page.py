"""The page of a profile: what it says, that no name in it is markup, and that it stays small."""

import html
import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.errors import MissingExtra, OomguardError
from oomguard.profiling.page import page as page_module
from oomguard.profiling.page.page import plotly_script, profile_page
from oomguard.profiling.page.timeline import KINDS, MOST_CURVES, MOST_MOMENTS, chart_data, chart_label, thinned
from oomguard.supervision.growth.model import MemorySample, ProcessMemory
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


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "plotly_script", lambda: "// plotly")


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


@pytest.mark.usefixtures("_small")
def test_says_what_the_profile_says() -> None:
    text = " ".join(_Structure(profile_page(PROFILE)).text.split())
    peak = format_size(PROFILE.peaks.peak_unreclaimable)
    assert (
        text.index(f"Exit status 137 (SIGKILL) after 60.9 s. Peak {peak}. It does not fit:") < 8000
    )  # the style is before it
    for said in (
        "python data/fineweb/prepare.py train.txt",
        "all of the input needs 119 GiB, 15.0 GiB were available",
        f"Unreclaimable, each page once{peak}the peak: 60.8 s after it began, between two samples, by the kernel's mark",
        "Missed at most12.0 MiB",
        "With page cache",
        "not the peak: one process of the tree",
        "not the peak: a shared page counts once for each process",
        "6.1 GiB 54 % of the peakdata/fineweb/prepare.py:61 in mainids.extend(enc.encode_ordinary(text))",
        "/usr/bin/zstd (no Python line known)",
        "all of train.txt (14.0 GiB) needs about 119 GiB (fit error ± 6.0 GiB), if it is read once",
        "tokenize471120.0 s45.0 s7.1 GiB",
        "write471146.0 snot ended",
        "4711python11.1 GiB60.0 MiB0.0 to 60.8 s",
        "process 4723 ended before its stack could be read",
        "2026-09-21 14:13:20 UTC",
    ):
        assert said in text


@pytest.mark.usefixtures("_small")
def test_what_to_paste_is_set_as_code() -> None:
    assert "<dd><code>oomguard run --max-rss 512M prepare train.txt</code></dd>" in profile_page(PROFILE)


assert PROFILE.forecast is not None and PROFILE.end is not None
FORECAST, END = PROFILE.forecast, PROFILE.end


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"forecast": replace(FORECAST, at_end=None, why_not="it was opened twice")}, "it was opened twice"),
        ({"forecast": replace(FORECAST, at_end=GIB)}, "It fits: all of the input needs 1.0 GiB"),
        ({"forecast": replace(FORECAST, read_bytes=15_000_000_000)}, "All of its input was read; 15.0 GiB were"),
        ({"end": replace(END, exit_code=None)}, "It ended after 60.9 s."),
        ({"forecast": None}, "15.0 GiB were available."),
        ({"end": None}, "The recording ends after 60.8 s, before the program did."),
        ({"timeline": ()}, "No sample was taken."),
        ({"head": replace(PROFILE.head, began=-1e18)}, "at an unknown time"),
        ({"lines": PROFILE.lines * 6}, "and 4 more"),
        ({"peaks": replace(PROFILE.peaks, peak_unreclaimable=0)}, "Peak 0 B."),
    ],
)  # fmt: skip
def test_a_profile_that_lacks_something(change: dict[str, Any], said: str) -> None:
    assert said in " ".join(_Structure(profile_page(replace(PROFILE, **change))).text.split())


@settings(max_examples=50)
@given(st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1), st.text("<>&\"'/=a ", min_size=1)).filter(str.strip))
def test_no_name_is_markup(name: str) -> None:
    """The page has the same elements whatever things are called, and no character that does not show."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "plotly_script", lambda: "// plotly")
        page, plain = profile_page(named(name)), profile_page(named("x"))
    assert _Structure(page).elements == _Structure(plain).elements
    assert all(c == "\n" or c.isprintable() for c in page)
    page.encode()


@pytest.mark.usefixtures("_small")
def test_a_chart_gets_no_markup() -> None:
    """plotly takes <b>, <a href> and entities in each text it draws, and this JSON stands in a script element."""
    data = re.search(r'id="data">(.*?)</script>', profile_page(named(*HOSTILE)), re.DOTALL)[1]
    assert not set("<>&\u2028\u2029") & set(data)
    written = page_module._json(HOSTILE[:-2])  # whatever comes into the data later
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == HOSTILE[:-2]
    chart = json.loads(data)
    labels = [part["label"] for part in (*chart["processes"], *chart["stages"])]
    assert len(labels) == 10
    for label in (*labels, *map(chart_label, HOSTILE)):
        assert label.isprintable()
        assert not set("<>&") & set(label)


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
    assert data["total"] == [sample.unreclaimable for sample in PROFILE.timeline]
    for kind in KINDS:
        drawn = [sum(curve.get(kind, [0] * 244)[at] for curve in data["processes"]) for at in range(244)]
        true = [sum(getattr(process, kind) for process in sample.processes) for sample in PROFILE.timeline]
        assert all(0 <= t - d * data["unit"] < 6 * data["unit"] for t, d in zip(true, drawn, strict=True))
    assert [stage["lane"] for stage in data["stages"]] == [0, 0, 1, 0]


@pytest.mark.usefixtures("_small")
def test_a_long_run_of_many_processes_stays_small() -> None:
    """A bound on what is added to plotly.js, however long the run and however many its processes."""
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
    long = replace(named("n" * 4000), timeline=timeline)
    data = chart_data(long)
    assert len(data["seconds"]) <= MOST_MOMENTS
    assert len(data["processes"]) == MOST_CURVES + 1
    assert data["processes"][-1]["label"] == "28 others"
    assert len(profile_page(long)) < 600_000


def test_without_plotly_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plotly", "plotly.offline"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra) as caught:
        profile_page(PROFILE)
    assert isinstance(caught.value, OomguardError)
    assert caught.value.do == "pip install 'oomguard[html]'"


def test_plotly_is_there_once_and_cannot_end_its_element() -> None:
    page, library = profile_page(PROFILE), plotly_script()
    assert page.count(library) == 1
    assert "</script" not in library.lower()
    assert html.escape(library) != library  # it is inlined as it is: only its hash lets it run
