"""README's screens are what its commands say: `make readme` writes them."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tools.readme import README, ROOT, blocks, seen, shape

if TYPE_CHECKING:
    from pathlib import Path

TEXT = README.read_text(encoding="utf-8")
RUN = [marker for kind, marker, _ in blocks(TEXT) if kind == "run"]
FILES = [marker for kind, marker, _ in blocks(TEXT) if kind == "file"]
SHOWN = {marker: shown for _, marker, shown in blocks(TEXT)}
DOCUMENT = (
    "It was the best of times, it was the worst of times, it was the age of wisdom … it was the age of foolishness.\n"
)
QUICK = ("oomguard diagnose ", "oomguard check ")
PROGRESS = re.compile(r"[0-9]+%,")  # a line about each second, which a run on an idle machine takes less than
NEEDS_ROOT = ("oomguard run --max-rss 256M -- ",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the demo's text, of the size that makes the naive script meet its budget."""
    made = tmp_path_factory.mktemp("checkout")
    (made / "demo").mkdir()
    shutil.copytree(ROOT / "examples", made / "examples")
    with (made / "demo/corpus.txt").open("w", encoding="utf-8") as file:
        for number in range(400_000):
            file.write(f"{number} {DOCUMENT}")
    return made


@pytest.mark.parametrize(
    "marker",
    [
        marker if marker.startswith(QUICK) else pytest.param(marker, marks=[pytest.mark.live, pytest.mark.pairs])
        for marker in RUN
    ],
)
def test_a_screen_has_the_labels_of_its_command(marker: str, folder: Path) -> None:
    if marker.startswith(NEEDS_ROOT) and os.geteuid() != 0:
        pytest.skip("the screen is root's: sudo pytest tests/test_readme.py")
    said = [label for label in shape(seen("run", marker, folder=folder)) if not PROGRESS.fullmatch(label)]
    differing = {"warning:", "oomguard:", "note", "stages", "input"}  # by the machine, and by how fast it is
    assert set(said) ^ set(shape(SHOWN[marker])) <= differing, "make readme, then review the diff"


@pytest.mark.parametrize("marker", FILES)
def test_a_screen_that_the_tests_keep_is_shown_as_it_is(marker: str) -> None:
    assert seen("file", marker) == SHOWN[marker], "make readme"


def test_every_link_leads_somewhere() -> None:
    pages = [README, *ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), ROOT / "benchmarks/README.md"]
    dead = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if not target.startswith(("http:", "https:")) and not (page.parent / target).exists()
    ]
    assert dead == []


def test_no_line_of_a_readme_screen_is_wide_but_a_command() -> None:
    """A command to paste is whole; a path of this machine may be longer than another's."""
    for shown in SHOWN.values():
        assert [line for line in shown.splitlines() if len(line) > 90 and "oomguard" not in line] == []
