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


def lines_of(report: Facts, topic: str) -> str:
    return " | ".join(f"{line['text']} -> {line['do']}" for line in report["findings"] if line["topic"] == topic)


def test_the_doctor_on_cgroup_v2(story: dict[str, Facts]) -> None:
    """To root, to a user, and in a container: what each may do, and the command where it may not."""
    root, user, container = (story[f"doctor-{whom}"] for whom in ("root", "user", "container"))
    for report in (root, user):
        assert report["facts"]["cgroup"]["layout"] == "v2"
        assert "1 process killed by the kernel" in lines_of(report, "kills")  # with swap --for it was not
        assert "swap --size" in lines_of(report, "swap")
    assert root["facts"]["enforcement"]["way"] == "cgroup v2"
    assert "readable" in lines_of(root, "kernel log")
    assert user["facts"]["enforcement"]["way"] == "watchdog"
    assert "cgroup v2 cannot be used" in lines_of(user, "run")
    assert "not be read" in lines_of(user, "kernel log")
    assert container["facts"]["container"] == "podman"
    assert container["facts"]["cgroup"]["read_only"]
    assert "200 MiB" in lines_of(container, "limit")
    assert "may not swap" in lines_of(container, "limit")
    assert "read-only" in lines_of(container, "run")
