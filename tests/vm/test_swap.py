"""A machine that is too small for its job: killed without swap, done with it. cgroup v2, systemd, Linux 6.1."""

from __future__ import annotations

import pytest

from tests.vm.machine import GUEST, Facts, Machine

pytestmark = pytest.mark.live

MIB = 1 << 20
SCREENS = (
    "typer",
    "rich",
    "pygments",
    "markdown_it",
    "mdurl",
    "shellingham",
    "typing_extensions",
    "annotated_doc",
    "pydantic",
    "pydantic_core",
    "annotated_types",
    "typing_inspection",
)


@pytest.fixture(scope="module")
def story(machine: Machine) -> dict[str, Facts]:
    machine.share_files(*(GUEST / name for name in ("swap_story.sh", "swap_job.py")))
    machine.share_modules(*SCREENS)
    return machine.run("story", "bash /host/swap_story.sh", memory=384)


def test_a_job_that_dies_without_swap_finishes_with_it(story: dict[str, Facts]) -> None:
    codes, ran = story["codes"], story["for"]
    assert codes["alone"] == 137
    assert codes["with_swap"] == 0
    assert codes["left"] == 0
    assert (ran["exit_code"], ran["removed"], ran["path"]) == (0, True, "/out/swap")


def test_what_killed_it_tells_how_much_swap_it_needs(story: dict[str, Facts], machine: Machine) -> None:
    """Killed, diagnosed, swap of that size, done; and afterwards the machine is as before."""
    codes, killed, made = story["codes"], story["killed"], story["from"]
    held = sum(killed["events"][0]["victims"][0][key] for key in ("anon_rss", "shmem_rss"))
    assert (codes["made"], codes["from"], codes["removed"]) == (0, 0, 0)
    available = codes["available"] << 10
    assert made["size"] == pytest.approx(1.1 * (2 * held - available), rel=0.15)
    assert "/out/swap none swap nofail 0 0" in (machine.folder / "story/fstab-persist").read_text()
    (area,) = story["status"]["areas"]
    assert (area["path"], area["made_by_oomguard"], area["size"]) == ("/out/swap", True, made["size"] - 4096)
    assert (codes["on"], codes["fstab"], codes["files"]) == (0, 0, 0)
