"""The page of a profile in a browser: it draws, switches, needs no network, and runs nothing but its own scripts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from oomguard.profiling.page.page import profile_page
from oomguard.profiling.page.timeline import chart_label
from oomguard.profiling.screen import PeakProfile
from oomguard.text import printable
from oomguard.units import format_size
from tests.profiling.page.chromium import CHROMIUM, Chromium
from tests.profiling.page.test_page import HOSTILE
from tests.profiling.profiles import GIB, PROFILE, named

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; to have it: apt-get install chromium")

Show = Callable[..., Chromium]

# Links of plotly's own tool bar have no address.
INTRUDERS = (
    "document.querySelectorAll('img, iframe, object, svg a, a[href], [onerror], [onload], tspan[style*=bold]').length"
)
LEGEND = "[...document.querySelectorAll('.legendtext')].map(e => e.textContent)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("chromium"))
    yield chromium
    chromium.close()


@pytest.fixture
def shown(browser: Chromium, tmp_path: Path) -> Show:
    """Load the page of a profile, or bring the one that is loaded back to how it was."""

    def show(profile: PeakProfile, *, anew: bool = False) -> Chromium:
        if profile == browser.showing and not anew:
            browser.look()
            browser.ask("controls.reset(); draw(), null")
        else:
            file = tmp_path / "page.html"
            file.write_text(profile_page(profile), encoding="utf-8")
            browser.open(file)
            browser.showing = profile
        assert browser.errors == []
        return browser

    return show


def _choose(page: Chromium, *inputs: str) -> list[str]:
    """Click on controls; gives the names in the legend."""
    for value in inputs:
        page.ask(f"document.querySelector('#controls [value={value}], #controls [name={value}]').click()")
    return page.ask(LEGEND)


def test_it_draws_and_switches(shown: Show) -> None:
    page = shown(PROFILE)
    assert page.ask(LEGEND) == ["unreclaimable", "page cache"]
    assert page.ask("document.querySelectorAll('#chart .scatterlayer path.js-line').length") == 2
    assert page.ask("document.querySelectorAll('#chart .barlayer .point').length") == 4
    assert page.ask("[...document.querySelectorAll('.bartext')].map(e => e.textContent)") == [
        "read",
        "tokenize",
        "count words",
        "write",
    ]
    drawn = page.ask("chart.data[0].y.map((y) => Math.round(y * 2 ** 30))")
    assert drawn == [sample.unreclaimable for sample in PROFILE.timeline]
    labels = page.ask("[...document.querySelectorAll('.annotation-text')].map(e => e.textContent)")
    assert labels == ["available 15.0 GiB", f"peak {format_size(PROFILE.peaks.peak_unreclaimable)}"]
    assert _choose(page, "kinds") == ["anon", "shmem", "swap", "unreclaimable"]
    assert _choose(page, "file", "anon") == ["shmem", "file", "swap", "unreclaimable"]
    processes = ["python 4711", "python 4723", "python 4722", "python 4721", "python 4720", "sh 4700"]
    assert _choose(page, "anon", "processes") == [*processes, "unreclaimable"]
    held = sum(process.anon + process.shmem + process.file + process.swap for process in PROFILE.timeline[-1].processes)
    top = page.ask("chart.data.filter((t) => t.stackgroup).reduce((sum, t) => sum + t.y.at(-1), 0) * 2 ** 30")
    assert top == pytest.approx(held, abs=6 * 256 * 1024)
    assert page.errors == []
    assert page.requests == [page.ask("location.href")]


def test_hovering_tells_the_stage_and_sizes_as_everywhere_else(shown: Show) -> None:
    page = shown(PROFILE)
    page.ask("chart.scrollIntoView({block: 'center'})")
    box = page.ask(
        "(() => { const b = chart.querySelector('.nsewdrag').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    page.hover(box[0] + box[2] / 2, box[1] + box[3] / 2)
    text = page.ask(
        "new Promise((done) => { const look = () => { const t = [...document.querySelectorAll('.hoverlayer text')];"
        " t.length ? done(t.map((e) => e.textContent)) : setTimeout(look, 20); }; look(); })"
    )
    at = min(PROFILE.timeline, key=lambda sample: abs(sample.seconds - 30.4))
    assert text == [
        "30.50 s",
        f"unreclaimable : {format_size(at.unreclaimable)} in tokenize, count words",
        "page cache : 4.0 GiB",
    ]
    random = Random(7)
    sizes = [0, 1, 1023, 1280, 5 * GIB // 4, 15 * GIB // 4, 102399, *(random.randrange(1 << 45) for _ in range(500))]
    assert page.ask(f"{sizes}.map(size)") == [format_size(size) for size in sizes]


def test_names_stay_names(shown: Show) -> None:
    """In the tables as they are, in the chart as labels; nothing runs, nothing links."""
    profile = named(*HOSTILE)
    page = shown(profile)
    name_of = {process.pid: process.name for process in profile.processes}
    labels = [f"{chart_label(name_of[pid], 20)} {pid}" for pid in (4711, 4723, 4722, 4721, 4720, 4700)]
    assert _choose(page, "processes") == [*labels, "unreclaimable"]
    page.ask("Plotly.Fx.hover(chart, [{curveNumber: 0, pointNumber: 100}])")
    shown_names = page.ask("[...document.querySelectorAll('td:nth-child(2) > bdi')].map(e => e.textContent)")
    assert set(shown_names) == {printable(name) for name in name_of.values()}
    assert page.ask(f"[window.owned, {INTRUDERS}, document.scripts.length]") == [None, 0, 3]
    assert page.errors == []
    assert page.requests == [page.ask("location.href")]


def test_only_its_own_scripts_run_and_nothing_is_fetched(shown: Show) -> None:
    """Were something to slip through, the page's policy would still stop it."""
    page = shown(PROFILE, anew=True)
    refused = page.ask(
        """(async () => {
          const refused = [];
          document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
          document.body.insertAdjacentHTML("beforeend", "<img src=http://127.0.0.1:9/x onerror='window.owned = 1'>");
          const script = document.createElement("script");
          script.textContent = "window.owned = 2";
          document.body.append(script);
          await fetch("http://127.0.0.1:9/").catch(() => {});
          await new Promise((done) => setTimeout(done, 200));
          return refused;
        })()"""
    )
    assert set(refused) == {"img-src", "script-src-attr", "script-src-elem", "connect-src"}
    assert page.ask("window.owned") is None
    assert page.errors  # the browser tells of each


def test_the_browser_tells_what_a_bad_page_does(browser: Chromium, tmp_path: Path) -> None:
    """The tests above could fail: a page without a policy runs, fetches and throws, and it is seen."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<body><img src='http://127.0.0.1:9/x' onerror='window.owned = 1'><script>throw Error('thrown')</script>"
    )
    browser.open(bad)
    assert "http://127.0.0.1:9/x" in browser.requests
    assert any("thrown" in error for error in browser.errors)
    assert browser.ask("window.owned") == 1
    assert browser.ask(INTRUDERS) == 1


def _soon(page: Chromium, condition: str) -> object:
    """Whether that comes true: a browser tells of another size or style when it has the time."""
    poll = f"(function look() {{ ({condition}) ? done(true) : performance.now() > end ? done(false) : setTimeout(look, 20) }})()"
    return page.ask(f"new Promise((done) => {{ const end = performance.now() + 10000; {poll} }})")


def test_it_follows_dark_mode_phones_and_paper(shown: Show) -> None:
    page = shown(PROFILE)
    page.look(dark=True, width=400)
    assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    assert _soon(page, "chart.layout.paper_bgcolor == '#14181d'")
    for view in ("total", "kinds", "processes"):
        _choose(page, view)
        assert _soon(page, "document.documentElement.scrollWidth <= 400")
    page.look(width=400, dark=False)
    assert _soon(page, "chart.layout.paper_bgcolor == '#fff'")
    page.look(width=720, dark=True)
    page.ask("dispatchEvent(new Event('beforeprint'))")  # a browser tells of it before it has the style of paper
    page.look(width=720, dark=True, media="print")
    assert _soon(page, "chart.layout.paper_bgcolor == '#fff' && getComputedStyle(controls).display == 'none'")
    assert _soon(page, "document.querySelector('#chart .main-svg').getBoundingClientRect().width <= 680")
    assert _soon(page, "document.documentElement.scrollWidth <= 720")
    page.ask("dispatchEvent(new Event('afterprint'))")
    page.look()
    assert _soon(page, "document.querySelector('#chart .main-svg').getBoundingClientRect().width > 1000")
    assert page.errors == []


@pytest.mark.parametrize(
    "change",
    [
        {"timeline": ()},
        {
            "timeline": (replace(PROFILE.timeline[0], unreclaimable=0),), "stages": (),
            "peaks": replace(PROFILE.peaks, peak_unreclaimable=0),
        },
        {
            "timeline": tuple(replace(s, cache=None, processes=(), exact=False) for s in PROFILE.timeline), "processes": (),
            "head": replace(PROFILE.head, available=400 * GIB), "forecast": None, "lines": (), "notes": (),
        },
        {"timeline": tuple(replace(s, seconds=s.seconds * 9000, unreclaimable=1 << 61) for s in PROFILE.timeline)},
    ],
)  # fmt: skip
def test_odd_profiles_are_drawn(shown: Show, change: dict[str, Any]) -> None:
    page = shown(replace(PROFILE, **change))
    if change.get("timeline", PROFILE.timeline):
        assert "unreclaimable" in page.ask(LEGEND)
        for view in ("kinds", "processes", "whole"):
            _choose(page, view)
        assert "available" in page.ask("document.querySelector('.annotation-text').textContent")
    assert page.errors == []
    assert page.requests == [page.ask("location.href")]
