"""The page of a profile in a browser: it draws, switches, needs no network, and runs nothing but its own scripts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from oomguard.profiling.model import PeakProfile
from oomguard.profiling.page import profile_page
from oomguard.profiling.page.timeline import chart_label
from oomguard.supervision.model import MemorySample
from oomguard.text import printable
from oomguard.units import format_size
from tests.pages.chromium import AXE, CHROMIUM, INTRUDERS, Chromium, findings, press
from tests.pages.test_profile_page import HOSTILE
from tests.profiling.profiles import GIB, PROFILE, named

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; to have it: apt-get install chromium")

Show = Callable[..., Chromium]


@pytest.fixture
def shown(browser: Chromium, tmp_path: Path) -> Show:
    """Load the page of a profile, or bring the one that is loaded back to how it was."""

    def show(profile: PeakProfile, *, anew: bool = False) -> Chromium:
        if profile == browser.showing and not anew:
            browser.look()
            browser.ask("document.querySelector('[value=total]').click()")
        else:
            file = tmp_path / "page.html"
            file.write_text(profile_page(profile), encoding="utf-8")
            browser.open(file)
            browser.showing = profile
        assert browser.errors == []
        return browser

    return show


VISIBLE = "[...document.querySelectorAll('[data-view]')].filter(e => e.getBoundingClientRect().height)"
LEGEND = f"{VISIBLE}.flatMap(e => [...e.querySelectorAll('.legend li')].map(e => e.textContent))"
TEXTS = f"{VISIBLE}.flatMap(e => [...e.querySelectorAll('.chart text')].map(e => e.textContent))"
OUTPUT = "document.querySelector('output').textContent"


def _choose(page: Chromium, view: str) -> list[str]:
    """Click on a view; gives the names in its legend."""
    page.ask(f"document.querySelector('[name=view][value={view}]').click()")
    return page.ask(LEGEND)


def test_it_draws_and_switches(shown: Show) -> None:
    page = shown(PROFILE)
    assert page.ask(LEGEND) == ["unreclaimable, each page once", "page cache"]
    assert page.ask(f"{VISIBLE}.length") == 1
    texts = page.ask(TEXTS)
    assert {"read", "tokenize", "count words", "write", "5 GiB", "10 GiB", "15 GiB", "20 s", "40 s"} <= set(texts)
    assert {"available 15.0 GiB", f"peak {format_size(PROFILE.peaks.peak_unreclaimable)}"} <= set(texts)
    # Where the curve is on the screen is where the axis says that it is.
    places = page.ask(
        f"""(() => {{
          const chart = {VISIBLE}[0].querySelector('.chart'), frame = chart.getBoundingClientRect();
          const line = chart.querySelector('.curve:not(.cache)'), total = line.getTotalLength();
          const lines = [...chart.querySelectorAll('.grid-line')].map(e => e.getBoundingClientRect().top - frame.top);
          const zero = chart.querySelector('.axis').getBoundingClientRect().top - frame.top;
          return [zero, lines[0], line.getBoundingClientRect().top - frame.top];
        }})()"""
    )
    zero, five_gib, top = places
    highest = max(sample.unreclaimable for sample in PROFILE.timeline)
    assert (zero - top) / (zero - five_gib) == pytest.approx(highest / (5 * GIB), abs=0.03)
    assert _choose(page, "kinds") == ["anonymous", "shared", "swapped out", "unreclaimable"]
    processes = ["python 4711", "python 4723", "python 4722", "python 4721", "python 4720", "sh 4700"]
    assert _choose(page, "processes") == [*processes, "unreclaimable"]
    assert page.errors == []
    assert page.requests == [page.ask("location.href")]


def test_a_moment_is_read_out_with_mouse_and_keyboard_in_sizes_as_everywhere_else(shown: Show) -> None:
    page = shown(PROFILE, anew=True)
    page.ask("document.querySelector('.chart').scrollIntoView({block: 'center'})")
    box = page.ask(
        "(() => { const b = document.querySelector('.chart').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
    )
    page.hover(box[0] + box[2] / 2, box[1] + box[3] / 2)
    assert _soon(page, f"{OUTPUT} != ''")
    at = min(PROFILE.timeline, key=lambda sample: abs(sample.seconds - PROFILE.timeline[-1].seconds / 2))

    def told(sample: MemorySample) -> str:
        return f"at {sample.seconds:.2f} s: {format_size(sample.unreclaimable)} unreclaimable; 4.0 GiB page cache; in tokenize, count words"

    assert page.ask(OUTPUT) == told(at)
    page.ask("document.querySelector('input[type=range]').focus()")
    press(page, "ArrowRight")
    assert page.ask(OUTPUT) == told(PROFILE.timeline[PROFILE.timeline.index(at) + 1])
    _choose(page, "processes")
    assert "; python 4711 5.1 GiB; python 4723 " in page.ask(OUTPUT)
    random = Random(7)
    sizes = [0, 1, 1023, 1280, 5 * GIB // 4, 15 * GIB // 4, 102399, *(random.randrange(1 << 45) for _ in range(500))]
    assert page.ask(f"{sizes}.map(size)") == [format_size(size) for size in sizes]


def test_the_flame_graph_zooms_with_mouse_and_keyboard(shown: Show) -> None:
    page = shown(PROFILE, anew=True)
    seen = "[...document.querySelectorAll('.flame [role=treeitem]')].filter(e => e.getBoundingClientRect().width)"
    labels = f"{seen}.map(e => e.querySelector('text').textContent)"
    everything = page.ask(labels)
    assert everything[0] == f"the peak, {format_size(PROFILE.peaks.peak_unreclaimable)}"
    assert {"<module> prepare.py:88", "main prepare.py:61", "read prepare.py:23", "/usr/bin/zstd"} <= set(everything)
    page.ask("document.querySelector('.flame [tabindex=\"0\"]').focus()")
    press(page, "ArrowDown", "ArrowDown", "ArrowRight", "Enter")  # the module, main's first line, its second
    assert page.ask("document.activeElement.querySelector('text').textContent") == "main prepare.py:57"
    assert page.ask(labels) == [everything[0], "<module> prepare.py:88", "main prepare.py:57", "read prepare.py:23"]
    assert page.ask(f"new Set({seen}.map(e => e.getAttribute('width'))).size") == 1
    assert "4.2 GiB, 37.6% of the peak, in data/fineweb/prepare.py: text = read(name)" in page.ask(
        "document.querySelector('.info').textContent"
    )
    press(page, "Escape")
    assert page.ask(labels) == everything
    page.ask(
        "document.querySelectorAll('.flame [role=treeitem]')[2].dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert len(page.ask(labels)) < len(everything)
    assert page.errors == []


def test_tables_sort_without_a_mouse(shown: Show) -> None:
    page = shown(PROFILE, anew=True)
    held = "[...document.querySelectorAll('table.sortable')].at(-1)"
    names = f"[...{held}.tBodies[0].rows].map(row => row.cells[0].textContent)"
    before = page.ask(names)
    page.ask(f"{held}.tHead.querySelectorAll('button')[0].focus()")
    press(page, "Enter")
    pids = sorted((process.pid for process in PROFILE.processes), reverse=True)
    assert page.ask(names) == [str(pid) for pid in pids] != before
    assert page.ask(f"{held}.tHead.rows[0].cells[0].getAttribute('aria-sort')") == "descending"
    press(page, "Enter")
    assert page.ask(names) == [str(pid) for pid in sorted(pids)]
    assert page.ask(f"{held}.tHead.rows[0].cells[0].getAttribute('aria-sort')") == "ascending"


def test_names_stay_names(shown: Show) -> None:
    """As they are, in tables, lists and charts; nothing runs, nothing links, nothing has a style of its own."""
    profile = named(*HOSTILE)
    page = shown(profile)
    name_of = {process.pid: process.name for process in profile.processes}
    labels = [f"{chart_label(name_of[pid], 20)} {pid}" for pid in (4711, 4723, 4722, 4721, 4720, 4700)]
    assert _choose(page, "processes") == [*labels, "unreclaimable"]
    shown_names = page.ask(
        "[...document.querySelectorAll('table:last-of-type td:nth-child(2) > bdi')].map(e => e.textContent)"
    )
    assert set(shown_names) == {printable(name) for name in name_of.values()}
    assert page.ask(f"[window.owned, {INTRUDERS}, document.scripts.length, document.styleSheets.length]") == [
        None,
        0,
        2,
        1,
    ]
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
    page.showing = None  # they are no other test's


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
    page.look(dark=True, width=390)
    assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 29)"
    for view in ("total", "kinds", "processes"):
        _choose(page, view)
        assert _soon(page, "document.documentElement.scrollWidth <= 390")
        assert page.ask(f"{VISIBLE}[0].querySelector('.chart').getBoundingClientRect().width") > 340
    assert "scrolls" in page.ask("getComputedStyle(document.querySelector('.scroll'), '::before').content")
    page.look(width=720, dark=True, media="print")
    assert _soon(page, "getComputedStyle(document.querySelector('fieldset')).display == 'none'")
    assert page.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.ask("document.documentElement.scrollWidth") <= 720
    assert page.errors == []


def test_without_scripts_everything_is_shown(browser: Chromium, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(profile_page(PROFILE), encoding="utf-8")
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(file)
        browser.showing = None
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        assert browser.ask(f"{VISIBLE}.length") == 3
        assert browser.ask("document.querySelectorAll('button, .scripted').length") == 0
        assert browser.ask("getComputedStyle(document.querySelector('fieldset')).display") == "none"
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.skipif(AXE is None, reason="no axe-core here; to have it: npm install axe-core")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (390, False), (390, True)])
def test_axe_finds_nothing(browser: Chromium, tmp_path: Path, width: int, *, dark: bool) -> None:
    """No finding of any kind, with the names of a usual profile and with hostile ones."""
    for number, profile in enumerate((PROFILE, named(*HOSTILE))):
        file = tmp_path / f"{number}.html"
        file.write_text(profile_page(profile), encoding="utf-8")
        assert findings(browser, file, width=width, dark=dark) == []


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
            "head": replace(PROFILE.head, available=400 * GIB), "forecast": None, "lines": (), "notes": (), "stacks": (),
        },
        {"timeline": tuple(replace(s, seconds=s.seconds * 9000, unreclaimable=1 << 61) for s in PROFILE.timeline)},
        {"timeline": tuple(replace(s, seconds=-float(1 << 61) * n) for n, s in enumerate(PROFILE.timeline[:9]))},
    ],
)  # fmt: skip
def test_odd_profiles_are_drawn(shown: Show, change: dict[str, Any]) -> None:
    page = shown(replace(PROFILE, **change))
    if change.get("timeline", PROFILE.timeline):
        assert "unreclaimable, each page once" in page.ask(LEGEND)
        for view in page.ask("[...document.querySelectorAll('[name=view]')].map(e => e.value)"):
            _choose(page, view)
        assert not page.ask("[...document.querySelectorAll('svg *')].some(e => /NaN|Infinity/.test(e.outerHTML))")
    assert page.errors == []
    assert page.requests == [page.ask("location.href")]


def test_the_axis_is_in_the_unit_of_what_it_reaches_to(shown: Show) -> None:
    """A peak of some MiB beside 400 GiB that were available: not "400k MiB"."""
    timeline = tuple(replace(s, unreclaimable=s.unreclaimable // 1000, cache=None) for s in PROFILE.timeline)
    small = replace(PROFILE.peaks, peak_unreclaimable=PROFILE.peaks.peak_unreclaimable // 1000)
    head = replace(PROFILE.head, available=400 * GIB)
    page = shown(replace(PROFILE, timeline=timeline, peaks=small, head=head, forecast=None))
    assert "10 MiB" in page.ask(TEXTS)
    _choose(page, "whole")
    assert {"100 GiB", "400 GiB"} <= set(page.ask(TEXTS))
