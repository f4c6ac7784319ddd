"""The parts of an input that a plan tries: written where they were meant to be, and taken away."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import oomguard
from oomguard.estimation import sample_files, short_runs, trials
from oomguard.preparation.reading.sources import find_sources

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from oomguard.preparation.reading.source import Source


def test_parts_are_written_into_the_folder_that_was_made_whatever_its_name_leads_to_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all may write to the folder above, another user can take it away and put a link in its place."""
    (tmp_path / "text.txt").write_text("a word and another, " * 10_000)
    (tmp_path / "secret").mkdir()
    place = tmp_path / "place"
    place.mkdir()
    written: list[list[str]] = []

    def swapped(sources: Sequence[Source], given: Path, *, fraction: float) -> list[tuple[Path, Source]]:
        (scratch,) = place.glob(".oomguard-plan-*")
        scratch.rename(place / "away")
        scratch.symlink_to(tmp_path / "secret")
        made = write_sample(sources, given, fraction=fraction)
        written.append([str(path.relative_to(place)) for path in place.glob("away/*/*.txt")])
        scratch.unlink()
        (place / "away").rename(scratch)
        return made

    write_sample = sample_files.write_sample
    monkeypatch.setattr(trials, "write_sample", swapped)
    sources = find_sources(["text.txt"], folder=tmp_path, exclude=None)
    with pytest.raises(short_runs.CannotTry):  # of the short run alone, which is none
        trials.try_job(sources, [1000, 2000], text_bytes=200_000, out=place / "out", command=lambda *_: ["false"])
    assert [sorted(names) for names in written] == [["away/0/0000.txt"], ["away/0/0000.txt", "away/1/0000.txt"]]
    assert list((tmp_path / "secret").iterdir()) == []
    assert list(place.iterdir()) == []


def test_a_short_run_that_takes_too_long_is_ended_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_runs, "_PATIENCE_SECONDS", 1.0)
    sleeps = ["sleep", "600"]
    (tmp_path / "text.txt").write_text("a word and another, " * 1000)
    begun: list[subprocess.Popen[bytes]] = []

    class Child(subprocess.Popen[bytes]):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            begun.append(self)

    monkeypatch.setattr(subprocess, "Popen", Child)
    sources = find_sources(["text.txt"], folder=tmp_path, exclude=None)
    with pytest.raises(short_runs.CannotTry, match="a short run took more than 1 s"):
        trials.try_job(sources, [20_000], text_bytes=20_000, out=tmp_path / "out", command=lambda *_: sleeps)
    assert [child.returncode for child in begun] == [-15]
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_a_plan_whose_short_runs_take_too_long_says_so_and_plans_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(short_runs, "_PATIENCE_SECONDS", 0.0)
    (tmp_path / "text.txt").write_text("a word and another, " * 1000)
    planned = oomguard.plan(oomguard.PrepareOptions(inputs=(str(tmp_path / "text.txt"),), out=tmp_path / "out"))
    assert planned.forecast is None
    assert "took more than 0 s" in planned.untried_because
    assert planned.tokens.value > 1000
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_a_module_that_lies_in_the_working_directory_is_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user may have put it there, and root may plan in that folder."""
    for name in ("oomguard", "json", "numpy", "typer"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'started')!r}, 'w')\n")
    (tmp_path / "text.txt").write_text("a word and another, " * 1000)
    monkeypatch.chdir(tmp_path)
    planned = oomguard.plan(oomguard.PrepareOptions(inputs=("text.txt",), out=tmp_path / "out"))
    assert (planned.tried != (), planned.untried_because) == (True, "")
    assert not (tmp_path / "started").exists()
