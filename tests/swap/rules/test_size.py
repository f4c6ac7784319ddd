"""The size out of what another command found: each documented schema, and documents that lie."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput
from oomguard.swap.size import predicted_peak, swap_size

GIB = 1 << 30
MIB = 1 << 20


def diagnosis(*events: Any) -> dict[str, Any]:
    return {
        "schema": "oomguard.diagnosis/1",
        "verdict": "proved",
        "killer": "kernel",
        "cause": "exhaustion",
        "events": list(events),
    }


def test_a_diagnosis_of_either_schema_is_read() -> None:
    old = diagnosis({"victims": [victim(2 * GIB)]})
    assert predicted_peak({**old, "schema": "oomguard.diagnosis/2"}) == predicted_peak(old)


def victim(anon: int | None, shmem: int | None = 0) -> dict[str, Any]:
    return {
        "pid": 1,
        "name": "python",
        "uid": 0,
        "total_vm": 9 * GIB,
        "anon_rss": anon,
        "file_rss": 0,
        "shmem_rss": shmem,
        "oom_score_adj": 0,
    }


@pytest.mark.parametrize(
    ("report", "peak", "words"),
    [
        ({"schema": "oomguard.peak_profile/1", "peak_unreclaimable": 3 * GIB, "forecast": None}, 3 * GIB, "peak of 3.0 GiB"),
        ({"schema": "oomguard.peak_profile/1", "peak_unreclaimable": 3 * GIB, "forecast": {"peak": 9 * GIB}}, 9 * GIB, "forecasts"),
        ({"schema": "oomguard.run_outcome/1", "peak_unreclaimable": 3 * GIB, "stopped_by": None, "inputs": []}, 3 * GIB, "needed 3.0 GiB"),
        ({"schema": "oomguard.run_outcome/1", "peak_unreclaimable": 3 * GIB, "stopped_by": "budget",
          "inputs": [{"path": "a", "position": 25 * MIB, "size": 100 * MIB}, {"path": "b", "position": 1, "size": 1}]}, 12 * GIB, "25%"),
        ({"schema": "oomguard.run_outcome/1", "peak_unreclaimable": 3 * GIB, "stopped_by": "budget", "inputs": []}, 6 * GIB, "twice"),
        (diagnosis({"victims": []}, {"victims": [victim(2 * GIB, GIB), victim(GIB, None)]}, {"victims": [victim(GIB)]}), 8 * GIB, "used 4.0 GiB"),
    ],
)  # fmt: skip
def test_each_schema_tells_the_peak(report: dict[str, Any], peak: int, words: str) -> None:
    found = predicted_peak(report)
    assert found.peak == peak
    assert words in found.because


@pytest.mark.parametrize(
    "report",
    [
        None, [], "x", {}, {"schema": "oomguard.shard_set/1"}, {"schema": ["oomguard.diagnosis/1"]}, diagnosis(),
        diagnosis({"victims": []}), diagnosis({"victims": [victim(None, None)]}), diagnosis({"victims": [victim(-5)]}),
        diagnosis("x", {"victims": "x"}, {"victims": ["x"]}),
        {"schema": "oomguard.peak_profile/1", "peak_unreclaimable": 10**400},
        {"schema": "oomguard.peak_profile/1", "peak_unreclaimable": True},
        {"schema": "oomguard.run_outcome/1", "peak_unreclaimable": "3"},
    ],
)  # fmt: skip
def test_what_tells_no_peak_is_refused(report: Any) -> None:
    with pytest.raises(BadInput):
        predicted_peak(report)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["events", "victims", "anon_rss", "inputs", "size", "position", "forecast", "peak_unreclaimable", "stopped_by"]), inner),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from(["diagnosis", "run_outcome", "peak_profile"]),
    st.dictionaries(st.sampled_from(["events", "inputs", "forecast", "peak_unreclaimable", "stopped_by"]), JSON),
)
def test_any_document_gives_a_size_or_an_error(name: str, report: dict[str, Any]) -> None:
    try:
        found = predicted_peak({**report, "schema": f"oomguard.{name}/1"})
    except BadInput:
        return
    assert 0 < found.peak <= 1 << 60
    assert json.dumps(found.peak)


@given(st.integers(1, 1 << 50), st.integers(0, 1 << 50))
def test_the_size_is_what_is_missing_and_a_tenth(peak: int, available: int) -> None:
    size = swap_size(peak, available)
    assert size % MIB == 0
    if peak <= available:
        assert size == 0
    else:
        assert 0 <= size - 1.1 * (peak - available) <= MIB + 1


def test_a_cgroups_limit_is_what_was_available() -> None:
    """Where the limit of a cgroup killed it, the machine's memory was not what was missing."""
    event = {"victims": [victim(2 * GIB)], "constraint": "memcg", "oom_memcg": "/a.slice", "memcg_limit": 2 * GIB}
    found = predicted_peak(diagnosis(event))
    assert (found.peak, found.limit, found.limit_of) == (4 * GIB, 2 * GIB, "cgroup /a.slice")
    assert predicted_peak(diagnosis({**event, "constraint": "global"})).limit is None
    assert predicted_peak(diagnosis({**event, "memcg_limit": None})).limit is None
