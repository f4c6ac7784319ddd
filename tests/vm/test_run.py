"""`oomguard run -- COMMAND` where this machine cannot show it: cgroup v2 under systemd, for root, users and containers."""

from __future__ import annotations

import pytest

from tests.live.flag_cases import FLAGS
from tests.vm.machine import GUEST, Facts, Machine
from tests.vm.vmruns import share_programs

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def places(machine: Machine) -> dict[str, Facts]:
    machine.share_files(GUEST / "check_run.py", GUEST / "run_scenarios.sh")
    share_programs(machine)
    return machine.run("run", "bash /host/run_scenarios.sh", timeout=1800, memory=1536)  # "burst" asks for 1 GiB


@pytest.mark.parametrize("name", ["single", "pool", "threads", "burst"])
def test_root_names_the_line_on_cgroup_v2(places: dict[str, Facts], name: str) -> None:
    facts = places["root"][name]
    assert facts["faults"] == [], facts["said"]
    assert facts["enforced_by"] == "cgroup v2"


@pytest.mark.parametrize(
    ("place", "case", "way", "words"),
    [
        ("root-systemd", "single:--enforce systemd", "systemd scope", ""),
        ("delegated-scope", "single", "cgroup v2", ""),
        ("user-session", "single", "systemd scope", ""),
        ("no-bus", "single", "watchdog", "bus"),
        ("container-read-only", "single", "watchdog", "read-only"),
    ],
)
def test_each_place_has_its_way_and_says_why_not_a_better_one(
    places: dict[str, Facts], place: str, case: str, way: str, words: str
) -> None:
    facts = places[place][case]
    assert facts["faults"] == [], facts["said"]
    assert way in facts["enforced_by"], facts["notes"]
    assert words in " ".join(facts["notes"])
    assert places[place]["back"]


def test_a_held_job_is_released_and_ends_as_it_would_have(places: dict[str, Facts]) -> None:
    facts = places["root"]["release"]
    assert (facts["code"], facts["out"]) == (0, "150\n"), facts
    assert facts["release"][0] == 0


def test_a_held_job_is_stopped(places: dict[str, Facts]) -> None:
    facts = places["root"]["stop"]
    assert (facts["code"], facts["out"]) == (137, ""), facts


@pytest.mark.parametrize("place", ["root", "user-session"])
def test_nothing_stays_frozen_when_the_guard_is_killed(places: dict[str, Facts], place: str) -> None:
    assert places[place]["guard-killed"]["job"] is None


@pytest.mark.parametrize(("place", "way"), [("flags-root", "cgroup v2"), ("flags-user-session", "systemd scope")])
def test_each_flag(places: dict[str, Facts], place: str, way: str) -> None:
    """The table of docs/run.md; on cgroup v1, by polling and as a plain user in tests/live/test_run_flags.py."""
    assert way in places[place]["enforced_by"][0]
    assert {flag: places[place][flag] for flag in FLAGS} == {flag: [] for flag in FLAGS}


def test_no_cgroup_is_left(places: dict[str, Facts], machine: Machine) -> None:
    assert [facts["left"] for place, facts in places.items() if not place.startswith("flags-") and facts["left"]] == []
    assert (machine.folder / "run/left-behind.txt").read_text() == ""
