"""The page of a diagnosis: what it says, that no name in a log is markup, and that it is read without a mouse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.diagnosis.api import diagnose
from oomguard.diagnosis.screens.page import diagnosis_page
from tests.pages.chromium import AXE, INTRUDERS, findings, press
from tests.pages.test_profile_page import HOSTILE, _Structure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pages.chromium import Chromium

LOG = """Nov 28 18:33:0{n} {host} kernel: {name} invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
Nov 28 18:33:0{n} {host} kernel: memory: usage 98304kB, limit 98304kB, failcnt 589
Nov 28 18:33:0{n} {host} kernel: [  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name
Nov 28 18:33:0{n} {host} kernel: [    173]  1000   173    20906    19187   208896        0             0 {name}
Nov 28 18:33:0{n} {host} kernel: [    174]  1001   174     6000     4500    86016        0             0 small
Nov 28 18:33:0{n} {host} kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={memcg},task_memcg={memcg},task={name},pid=173,uid=1000
Nov 28 18:33:0{n} {host} kernel: Memory cgroup out of memory: Killed process 173 ({name}) total-vm:83624kB, anon-rss:71864kB, file-rss:4884kB, shmem-rss:0kB, UID:1000 pgtables:204kB oom_score_adj:0
"""
MADE = 1_795_900_000.0


def page_of(log: str, tmp_path: Path, *, every: bool = False) -> str:
    file = tmp_path / "kern.log"
    file.write_bytes(log.encode("utf-8", "surrogateescape"))
    return diagnosis_page(diagnose(file, every=every), made=MADE, by="oomguard 0")


def kill(number: int = 6, *, name: str = "python3", memcg: str = "/job", host: str = "h") -> str:
    return LOG.format(n=number, name=name, memcg=memcg, host=host)


def heading(page: str) -> str:
    title = re.search(r"<title>(.*?)</title>", page)
    assert title
    return title[1]


def test_the_title_says_what_died_why_and_when(tmp_path: Path) -> None:
    page = page_of(kill(), tmp_path)
    assert heading(page) == (
        "python3 killed: out of memory (limit of the cgroup /job), Nov 28 18:33:06 - oomguard diagnose"
    )
    assert "proved by the kernel&#x27;s log" in page
    assert page.count("<h1>") == 1
    assert "Killed for lack of memory?" not in page
    assert "No out-of-memory kill" in heading(page_of("nothing here\n", tmp_path))
    cut_off = "Nov 28 18:33:06 h kernel: db invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
    assert heading(page_of(cut_off, tmp_path)).startswith("Out of memory: what was killed is not in this log")


def test_every_kill_has_its_verdict_and_without_all_there_is_one(tmp_path: Path) -> None:
    log = kill(1, name="first") + kill(5, name="second") + kill(9, name="third")
    few, many = page_of(log, tmp_path), page_of(log, tmp_path, every=True)
    every = diagnosis_page_with_all(tmp_path)
    assert few.count("<dt>why</dt>") == 1
    assert many.count("<dt>why</dt>") == 1  # every reads all logs; the flag of the screen asks for all of them in full
    assert every.count("<dt>why</dt>") == 3
    for name in ("first", "second", "third"):
        assert f"<bdi>{name}</bdi>" in few
        assert f"<dd>{name} (pid 173)" in every


def diagnosis_page_with_all(folder: Path) -> str:
    from dataclasses import replace

    return diagnosis_page(replace(diagnose(folder / "kern.log", every=True), every=True), made=MADE, by="oomguard 0")


def test_a_time_with_a_zone_is_told_with_how_long_ago(tmp_path: Path) -> None:
    log = re.sub(r"Nov 28 (18:33:06)", r"2026-11-28T\1+01:00", kill())
    page = page_of(log, tmp_path)
    assert '<time datetime="2026-11-28T17:33:06Z">2026-11-28 17:33:06 UTC</time>' in page
    assert "</time>, 3 h 33 min before this page was made" in page
    assert "names no time zone" in page_of(kill(), tmp_path)


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(st.sampled_from(HOSTILE), st.text("<>&\"'/=a;", min_size=1)).map(
        lambda name: name.replace("\n", "x")[:15]
    )
)
def test_no_name_is_markup(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("log")
    page = page_of(kill(name=name, memcg=f"/{name}", host="h"), folder)
    structure = _Structure(page).elements
    assert {element[0].lstrip("/") for element in structure} <= {
        "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "script",
        "h1", "h2", "h3", "p", "dl", "dt", "dd", "code", "span", "bdi", "pre", "div", "ul", "li", "time", "small",
        "table", "caption", "thead", "tbody", "tr", "th", "td", "svg", "rect",
    }  # fmt: skip
    assert not {attribute for element in structure for attribute in element[1:]} & {
        "style",
        "src",
        "href",
        "onerror",
        "onload",
    }
    assert all(character == "\n" or character.isprintable() for character in page)


def test_it_is_read_in_a_browser_and_sorted_with_a_keyboard(browser: Chromium, tmp_path: Path) -> None:
    name = "<b>x</b><img>"
    file = tmp_path / "page.html"
    file.write_text(page_of(kill(name=name) + kill(8, name="z"), tmp_path), encoding="utf-8")
    browser.open(file, width=390)
    assert browser.ask(f"[window.owned, {INTRUDERS}, document.scripts.length]") == [None, 0, 1]
    assert browser.ask("document.documentElement.scrollWidth") <= 390
    table = "document.querySelector('table.sortable')"
    pids = f"[...{table}.tBodies[0].rows].map(row => row.cells[0].textContent)"
    assert browser.ask(pids) == ["173", "174"]
    browser.ask(f"{table}.tHead.querySelectorAll('button')[2].focus()")
    press(browser, "Enter", "Enter")
    assert browser.ask(pids) == ["174", "173"]
    assert browser.ask(f"{table}.tHead.rows[0].cells[2].getAttribute('aria-sort')") == "ascending"
    assert browser.errors == []
    assert browser.requests == [browser.ask("location.href")]


@pytest.mark.skipif(AXE is None, reason="no axe-core here; to have it: npm install axe-core")
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_axe_finds_nothing(browser: Chromium, tmp_path: Path, width: int, *, dark: bool) -> None:
    page_of(kill(1) + kill(5, name="<b>") + kill(9), tmp_path)
    file = tmp_path / "page.html"
    file.write_text(diagnosis_page_with_all(tmp_path), encoding="utf-8")
    assert findings(browser, file, width=width, dark=dark) == []
