"""The parts of an input that a plan tries: written where they were meant to be, and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from oomguard.estimation import sample_files, trials
from oomguard.estimation.short_runs import CannotTry
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
    with pytest.raises(CannotTry):  # of the short run alone, which is none
        trials.try_job(
            sources, [1000, 2000], text_bytes=200_000, out=place / "out", command=lambda *_: ["no_such_module"]
        )
    assert [sorted(names) for names in written] == [["away/0/0000.txt"], ["away/0/0000.txt", "away/1/0000.txt"]]
    assert list((tmp_path / "secret").iterdir()) == []
    assert list(place.iterdir()) == []
