"""Where chunks come from, with as many files as a folder may have."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from oomguard.preparation import job as job_module
from oomguard.preparation.engines import intake as module
from oomguard.preparation.engines.intake import Intake

if TYPE_CHECKING:
    import pytest


class Counted(list[Any]):
    """Sources that count how often one of them is looked at."""

    looked = 0

    def __iter__(self) -> Any:
        self.looked += len(self)
        return super().__iter__()

    def __getitem__(self, key: Any) -> Any:
        self.looked += len(range(*key.indices(len(self)))) if isinstance(key, slice) else 1
        return super().__getitem__(key)


def look_at(count: int, monkeypatch: pytest.MonkeyPatch, *, begin: int = 0) -> int:
    """Go over so many sources, asking after each how far it is."""
    monkeypatch.setattr(module, "require_unchanged", lambda _: None)
    sources = Counted(SimpleNamespace(size=number + 1, path=str(number)) for number in range(count))
    job: Any = SimpleNamespace(sources=sources)
    slots: Any = SimpleNamespace(layout=SimpleNamespace(slots=2))
    intake = Intake(job, slots, None, position={"source": begin}, ask_plan=lambda _: None)  # type: ignore[arg-type]
    for index in range(begin, count):
        assert intake.bytes_read() == index * (index + 1) // 2
        if index % 3:
            intake._next_source()
        else:
            intake.leave(index)
            intake.leave(index)  # a second time nothing is left of it
    assert intake.bytes_read() == count * (count + 1) // 2
    return sources.looked


def test_how_far_reading_is_costs_the_same_with_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look_at(4000, monkeypatch) < 5 * look_at(1000, monkeypatch)


def test_it_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    look_at(10, monkeypatch, begin=7)


def test_text_files_are_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []

    def count(sources: Any, *_: Any, **__: Any) -> Fraction:
        counts.append(len(sources))
        return Fraction(1, 2000)

    monkeypatch.setattr(job_module, "share_of_each_text", count)
    given: dict[str, Any] = dict.fromkeys(("options", "resolved", "budget", "rank_file", "rank_fd", "needs"))
    sources: Any = [SimpleNamespace(divisible_text=True)] * 3
    job = job_module.Job(sources=sources, **given)
    assert all(job.ends_are_val for _ in range(3))
    assert counts == [3]
