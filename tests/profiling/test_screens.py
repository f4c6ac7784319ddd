"""The screen and the JSON of a profile. `pytest --update-screens` rewrites tests/screens; review reads the diff."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from oomguard.cli.showing import screen
from oomguard.profiling.model import PeakProfile, StageBand
from oomguard.profiling.recording_lines import ForecastMade, Peaks, RecordingEnd, RecordingHead, SeenProcess
from oomguard.profiling.screens import render_profile
from oomguard.supervision.model import GrownLine, MemorySample, ProcessMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    Check = Callable[[str, str], None]

MIB, GIB = 1 << 20, 1 << 30

HEAD = RecordingHead(
    command=("python", "prepare.py", "--input", "train.txt"),
    folder="/home/u/nanogpt",
    began=1.7e9,
    tier="cgroup v2",
    exact_mark=True,
    available=12 * GIB,
    limited_by="this machine",
    cpus=2,
)
PEAKS = Peaks(
    peak_unreclaimable=3 * GIB,
    peak_seconds=41.2,
    by_the_mark=False,
    peak_with_cache=4 * GIB,
    largest_process=2 * GIB + 900 * MIB,
    summed_rss=5 * GIB,
    missed_at_most=21 * MIB,
    samples=8123,
    longest_gap=0.11,
)
LINES = (
    GrownLine(
        file="/home/u/nanogpt/prepare.py",
        line=23,
        function="load",
        source="        data = f.read()",
        grew_bytes=2 * GIB + 512 * MIB,
    ),
    GrownLine(
        file="/home/u/nanogpt/prepare.py",
        line=31,
        function="encode",
        source="        ids.extend(enc.encode_ordinary(line))",
        grew_bytes=400 * MIB,
    ),
    GrownLine(file="sort", line=0, function="", source="", grew_bytes=12 * MIB),
)


def held(seconds: float) -> int:
    """Reads for 20 s, rests, and is highest at 41 s."""
    return int(min(seconds, 20) / 20 * 2.5 * GIB + (0.5 * GIB if 38 < seconds < 44 else 0)) + 20 * MIB


TIMELINE = tuple(
    MemorySample(
        seconds=second / 2, unreclaimable=held(second / 2), exact=True, cache=GIB,
        processes=(ProcessMemory(17, held(second / 2), 0, 5 * MIB, 0),),
    )
    for second in range(100)
)  # fmt: skip
FORECAST = ForecastMade(
    seconds=40.0,
    input="/home/u/nanogpt/train.txt",
    input_bytes=15 * GIB,
    read_bytes=2 * GIB,
    at_end=119 * GIB,
    base=20 * MIB,
    per_byte=7.9,
    band=2 * GIB,
    method="read position",
)
PROFILE = PeakProfile(
    head=HEAD,
    peaks=PEAKS,
    lines=LINES,
    stages=(
        StageBand(name="read", pid=17, begin=0.2, end=20.1),
        StageBand(name="tokenize", pid=17, begin=20.1, end=None),
    ),
    timeline=TIMELINE,
    processes=(SeenProcess(seconds=0.0, pid=17, parent_pid=1, name="python", command="python prepare.py"),),
    forecast=FORECAST,
    end=RecordingEnd(exit_code=0, seconds=49.7, stopped=""),
)


def test_screens(check_screen: Check) -> None:
    check_screen("profile.txt", screen(render_profile(PROFILE)))
    fits = replace(
        PROFILE,
        lines=LINES[:1],
        stages=(),
        forecast=replace(FORECAST, at_end=5 * GIB, per_byte=0.33, band=300 * MIB, method="ladder"),
    )
    check_screen("profile-fits.txt", screen(render_profile(fits)))
    killed = replace(
        PROFILE,
        head=replace(HEAD, tier="systemd scope"),
        peaks=replace(PEAKS, by_the_mark=True, missed_at_most=700 * MIB),
        forecast=replace(FORECAST, at_end=None, why_not="it is read more than once"),
        end=None,
        notes=("the stacks of 3 processes could not be read: they belong to another user",),
    )
    check_screen("profile-killed.txt", screen(render_profile(killed)))
    short = replace(PROFILE, lines=(), stages=(), timeline=TIMELINE[:1], forecast=None)
    check_screen("profile-short.txt", screen(render_profile(short)))


@pytest.mark.parametrize("name", ["profile", "profile-fits", "profile-killed", "profile-short"])
def test_screens_fit_80_columns(name: str) -> None:
    from tests.conftest import SCREENS

    assert max(map(len, (SCREENS / f"{name}.txt").read_text(encoding="utf-8").splitlines())) <= 80


def test_json_has_what_programs_rely_on() -> None:
    found = json.loads(json.dumps(PROFILE.to_json()))
    assert found["schema"] == "oomguard.peak_profile/1"
    assert {key: found[key] for key in ("peak_unreclaimable", "peak_with_cache", "largest_process", "summed_rss")} == {
        "peak_unreclaimable": 3 * GIB,
        "peak_with_cache": 4 * GIB,
        "largest_process": 2 * GIB + 900 * MIB,
        "summed_rss": 5 * GIB,
    }
    assert (found["missed_at_most"], found["samples"], found["exit_code"]) == (21 * MIB, 8123, 0)
    assert found["lines"][0] == {
        "file": "/home/u/nanogpt/prepare.py",
        "line": 23,
        "function": "load",
        "source": "        data = f.read()",
        "grew_bytes": 2 * GIB + 512 * MIB,
    }
    assert found["forecast"]["peak_unreclaimable"] == 119 * GIB
    assert (found["forecast"]["fits"], found["forecast"]["why_not"]) == (False, None)
    assert found["timeline"][2][:2] == [1.0, held(1.0)]
    assert [stage["name"] for stage in found["stages"]] == ["read", "tokenize"]
    assert found["stages"][1]["end"] is None


def test_json_of_a_recording_that_stops_early() -> None:
    found = replace(PROFILE, end=None, forecast=None, timeline=(), stages=(), lines=()).to_json()
    assert (found["exit_code"], found["wall_seconds"], found["forecast"]) == (None, None, None)
    cannot = replace(PROFILE, forecast=replace(FORECAST, at_end=None, why_not="x")).to_json()["forecast"]
    assert isinstance(cannot, dict)
    assert (cannot["peak_unreclaimable"], cannot["fits"], cannot["why_not"]) == (None, None, "x")


@pytest.mark.parametrize("hostile", ["\x1b]0;owned\x07", "[bold red]x[/]", "a\nb", "\u202egnp", "\udcff", "x" * 5000])
def test_names_are_neither_markup_nor_escapes(hostile: str) -> None:
    """A command, a file, a function, a line of source, a stage, an input and a note may hold anything."""
    line = GrownLine(file=hostile, line=3, function=hostile, source=hostile, grew_bytes=GIB)
    profile = replace(
        PROFILE,
        head=replace(HEAD, command=(hostile, hostile), limited_by=hostile, folder=hostile, tier=hostile),
        lines=(line, replace(line, line=0)),
        stages=(StageBand(name=hostile, pid=1, begin=0.0, end=1.0),),
        forecast=replace(FORECAST, input=hostile),
        end=RecordingEnd(exit_code=1, seconds=1.0, stopped=hostile),
        notes=(hostile,),
    )
    for shown in (profile, replace(profile, forecast=replace(FORECAST, at_end=None, why_not=hostile, input=hostile))):
        text = screen(render_profile(shown))
        assert all(character.isprintable() or character == "\n" for character in text)
        # A command to paste is never broken, whatever is in it.
        assert max(len(line) for line in text.splitlines() if not line.startswith("            ")) <= 80
        if hostile.startswith("["):
            assert hostile in text.replace("\n", "")
        json.dumps(shown.to_json())


def test_a_recording_s_strangest_numbers_are_shown() -> None:
    """As read_line() lets them through: far times that run backwards, none held, a slope below nothing."""
    far = float(1 << 61)
    timeline = tuple(replace(TIMELINE[0], seconds=seconds, unreclaimable=1 << 61) for seconds in (far, -far, 0.0))
    for per_byte in (0.0, -1.0, 5e-324, far):
        forecast = replace(FORECAST, per_byte=per_byte, base=-(1 << 61), input_bytes=0, at_end=1 << 61)
        profile = replace(
            PROFILE,
            timeline=timeline,
            forecast=forecast,
            peaks=replace(PEAKS, peak_unreclaimable=0, peak_seconds=far),
            stages=(StageBand(name="a", pid=1, begin=far, end=-far),),
        )
        assert screen(render_profile(profile))
        assert math.isfinite(json.loads(json.dumps(profile.to_json()))["forecast"]["per_byte"])
