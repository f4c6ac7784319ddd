"""What each public function gives back can be shown and written, as in 0.1: render() for people, to_json() for programs."""

from __future__ import annotations

import inspect
import json
from importlib import import_module
from typing import Any

import pytest
from rich.console import Console

import oomguard
from oomguard.machine_report.model import DoctorReport
from oomguard.script_analysis.model import ScriptCheck
from oomguard.supervision.model import Released, RunOutcome
from oomguard.swap.model import SwapAdded, SwapPlan, SwapRemoval, SwapStatus
from oomguard.text import Drawn

RESULTS = {
    "add_swap": "SwapAdded", "check_script": "ScriptCheck", "diagnose": "Diagnosis", "doctor": "DoctorReport",
    "plan": "JobPlan", "plan_prepare": "PreparePlan", "plan_swap": "SwapPlan", "plan_swap_removal": "SwapRemoval",
    "prepare": "ShardSet", "release": "Released", "remove_swap": "SwapRemoval", "run": "RunOutcome",
    "swap_status": "SwapStatus",
}  # fmt: skip
MODELS = (
    "oomguard.diagnosis.result", "oomguard.estimation.model", "oomguard.machine_report.model",
    "oomguard.preparation.model", "oomguard.script_analysis.model", "oomguard.supervision.model",
    "oomguard.supervision.model", "oomguard.swap.model",
)  # fmt: skip
DRAWN = (DoctorReport, Released, RunOutcome, ScriptCheck, SwapAdded, SwapPlan, SwapRemoval, SwapStatus)


def shown(result: Any) -> str:
    console = Console(width=80, color_system=None)
    with console.capture() as written:
        console.print(result.render())
    return written.get()


@pytest.mark.parametrize("function", RESULTS)
def test_a_public_function_gives_what_can_be_shown(function: str) -> None:
    named = str(inspect.signature(getattr(oomguard, function)).return_annotation)
    assert named.rsplit(".", maxsplit=1)[-1].strip("'") == RESULTS[function]
    classes = [getattr(import_module(model), RESULTS[function], None) for model in MODELS]
    result = next(found for found in classes if found is not None)
    assert callable(result.render)
    assert callable(result.to_json)


def test_all_that_is_drawn_is_tried_here() -> None:
    for model in MODELS:
        import_module(model)
    assert {result.__name__ for result in Drawn.__subclasses__()} == {result.__name__ for result in DRAWN}


@pytest.mark.parametrize("result", DRAWN)
def test_a_result_names_a_function_that_draws_it(result: type[Drawn]) -> None:
    module, _, function = result._screen.partition(":")
    first = next(iter(inspect.signature(getattr(import_module(module), function)).parameters.values()))
    assert first.annotation == result.__name__


def test_an_outcome_is_shown_as_in_0_1() -> None:
    """Its lines are its screen, label by label; and the facts for programs know nothing of the screen."""
    outcome = RunOutcome(
        command=("python", "x.py"), exit_code=137, stopped_by="budget", enforced_by="cgroup v1", budget=1 << 30,
        hard_limit=1 << 30, peak_unreclaimable=(1 << 30) - 4096, peak_with_cache=None, peak_shmem=0,
        largest_process=None, wall_seconds=2.0, advice=("write each batch to disk",),
    )  # fmt: skip
    screen = shown(outcome)
    labels = [label for label, _ in outcome.lines()]
    assert "refused" in labels  # it ended by itself, refused memory: held_seconds is None
    assert "write each batch to disk" in screen
    assert [line.split()[0] for line in screen.splitlines() if not line.startswith(" ")] == labels
    assert "_screen" not in json.dumps(outcome.to_json())


def test_a_released_job_is_one_line() -> None:
    assert shown(Released(pid=17, stopped=False, budget=1 << 30)).split() == (
        ["process", "17:", "the", "job", "continues", "with", "a", "budget", "of", "1.0", "GiB"]
    )
