"""The short forms of the two campaigns; `make faults` runs the long ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.faults import places, planted
from tests.faults.campaign import FAULTS, Campaign, is_possible
from tests.faults.features import FEATURES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.live, pytest.mark.pairs, pytest.mark.slow]
SHORT = [  # each fault once, each feature at least once
    (FEATURES[number % len(FEATURES)].name, fault) for number, fault in enumerate(FAULTS)
]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    if os.geteuid() != 0 or not shutil.which("strace"):
        pytest.skip("needs root, and strace")
    return Campaign(tmp_path_factory.mktemp("faults"), seed=1)


@pytest.mark.parametrize(("name", "fault"), SHORT)
def test_it_ends_in_time_well_or_clearly_and_leaves_nothing(campaign: Campaign, name: str, fault: str) -> None:
    feature = next(feature for feature in FEATURES if feature.name == name)
    if not is_possible(feature, fault):
        feature = FEATURES[0]
    done = campaign.run(FAULTS.index(fault), feature, fault)
    assert done.wrong == [], (done, done.said)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_nothing_outside_of_a_folder_is_touched_whatever_another_user_plants_there(tmp_path: Path) -> None:
    wrong, _, done = planted.run(18, seed=1)
    assert wrong == []
    assert done == 18


ODD = [
    ("doctor", "no /proc"),
    ("run, at its budget", "no /proc but of processes"),
    ("prepare", "an ASCII terminal"),
    ("prepare", "TMPDIR is full"),
    ("plan", "a Latin-1 terminal"),
    ("hook --install", "HOME is unset"),
    ("run", "no such working directory"),
    ("work", "umask 0"),
    ("profile", "another time namespace"),
    ("run, polling", "no /sys"),
    ("run, polling", "another PID namespace's /proc"),
    ("prepare, budget", "another PID namespace's /proc"),
    ("profile", "another PID namespace's /proc"),
    ("plan", "modules of another user's"),
    ("prepare, budget", "modules of another user's"),
]


@pytest.fixture(scope="module")
def in_places(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    if not shutil.which("unshare") or subprocess.run(["unshare", "-m", "-T", "true"], check=False).returncode:
        pytest.skip("needs root, and namespaces of mounts and time")
    return places.make_campaign(tmp_path_factory.mktemp("places"))


@pytest.mark.parametrize(("name", "place"), ODD)
def test_in_an_odd_place_it_ends_with_a_status_of_its_own(in_places: Campaign, name: str, place: str) -> None:
    feature = next(feature for feature in [*FEATURES, *places.MORE] if feature.name == name)
    status, wrong, said = places.run(in_places, feature, place)
    assert wrong == [], (status, said)
