"""The lines of a recording: each event comes back as it was, and nothing that others wrote in their place does harm."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.profiling import recording_lines as recording
from oomguard.profiling.recording_lines import (
    VERSION,
    ForecastMade,
    HeldByStacks,
    Peaks,
    RecordingEnd,
    RecordingHead,
    SeenCall,
    SeenProcess,
    SeenStack,
    StageMark,
    event_line,
    read_line,
)
from oomguard.supervision.model import GrownLine, MemorySample, ProcessMemory
from tests.properties import examples

SIZE = st.integers(0, 1 << 60)
TEXT = st.text(max_size=30)
SECONDS = st.integers(0, 10**9).map(lambda thousandths: thousandths / 1000)
SAMPLES = st.builds(
    MemorySample,
    seconds=SECONDS, unreclaimable=SIZE, exact=st.booleans(), cache=st.none() | SIZE,
    processes=st.lists(st.builds(ProcessMemory, *[SIZE] * 5), max_size=5).map(tuple),
)  # fmt: skip


def made(kind: type) -> st.SearchStrategy[Any]:
    by_type = {int: SIZE, float: SECONDS, str: TEXT, bool: st.booleans(), int | None: st.none() | SIZE}
    by_type[tuple[str, ...]] = st.lists(TEXT, max_size=4).map(tuple)
    by_type[tuple[int, ...]] = st.lists(SIZE, max_size=4).map(tuple)
    by_type[tuple[tuple[int, int], ...]] = st.lists(st.tuples(SIZE, SIZE), max_size=4).map(tuple)
    return st.builds(kind, **{name: by_type[hint] for name, hint in get_type_hints(kind).items()})


KINDS = (
    RecordingHead, SeenProcess, StageMark, Peaks, SeenCall, SeenStack, HeldByStacks, ForecastMade, RecordingEnd,
)  # fmt: skip
EVENTS = st.one_of(SAMPLES, TEXT, st.lists(made(GrownLine), max_size=4).map(tuple), *map(made, KINDS))


def encoded(event: recording.Event) -> bytes:
    return json.dumps(event_line(event)).encode() + b"\n"


@settings(max_examples=80)
@given(event=EVENTS)
def test_each_event_comes_back(event: recording.Event) -> None:
    assert read_line(encoded(event)) == event


def test_these_are_all_events() -> None:
    assert {*KINDS, MemorySample, str} == {kind for kind in get_args(recording.Event) if isinstance(kind, type)}


@settings(max_examples=60)
@given(event=EVENTS, data=st.data())
def test_a_torn_line_is_no_line(event: recording.Event, data: st.DataObject) -> None:
    whole = encoded(event).rstrip(b"\n")
    assert read_line(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@examples(100)
@given(event=EVENTS, data=st.data())
def test_a_value_of_any_kind_in_any_place_never_raises(event: recording.Event, data: st.DataObject) -> None:
    """And what is taken is of the type it says, and bounded."""
    line = event_line(event)
    (key,) = [key for key in line if key != "recording"][:1] or ["recording"]
    inside = line[key] if isinstance(line[key], (dict, list)) and line[key] and key != "command" else line
    if key == "held" and inside is not line:
        inside = data.draw(st.sampled_from([inside, *inside]))
    place = data.draw(st.sampled_from(list(inside) if isinstance(inside, dict) else range(len(inside))))
    inside[place] = data.draw(JSON)
    read = read_line(json.dumps(line).encode())
    if read is None or isinstance(read, (str, tuple)):
        return
    for name, hint in get_type_hints(type(read)).items():
        value = getattr(read, name)
        assert type(value) in {int: (int,), float: (float,), bool: (bool,), str: (str,)}.get(hint, (type(value),))
        if isinstance(value, (int, float)):
            assert abs(value) <= 1 << 62


@examples(100)
@given(line=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_never_raise(line: bytes) -> None:
    read_line(line)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'{"s":' * 50_000,
        b'{"s":[NaN,1,1,null,[]]}',
        b'{"s":[1e999,1,1,null,[]]}',
        b'{"s":[1,1e400,1,null,[]]}',
        b'{"s":[1,' + b"9" * 5000 + b",1,null,[]]}",
        b'{"s":[1,4611686018427387905,1,null,[]]}',
        b'{"s":[1,-5,1,null,[]]}',
        b'{"s":[1,1.5,1,null,[]]}',
        b'{"s":[1,true,1,null,[]]}',
        b'{"s":[1,5,2,null,[]]}',
        b'{"s":[1,5,1,null,[[1,2,3,4]]]}',
        b'{"s":[1,5,1,null,{}]}',
        b'{"s":{}}',
        b'{"stage":{"seconds":1,"pid":true,"begins":true,"name":"a"}}',
        b'{"stage":{"seconds":1,"pid":1,"begins":"yes","name":"a"}}',
        b'{"stage":{"seconds":1,"pid":1,"begins":true}}',
        b'{"stage":["seconds","pid","begins","name"]}',
        b'{"note":5}',
        b'{"stack":[]}',
        b'{"stack":[1,-2]}',
        b'{"stack":[1,true]}',
        b'{"stack":{"number":1}}',
        b'{"held":[[1]]}',
        b'{"held":[[1,-1]]}',
        b'{"held":[[1,1e9]]}',
        b'{"call":{"number":1,"file":"a","line":"3","function":"","source":""}}',
        b'{"lines":"file"}',
        b'{"lines":[null]}',
        b"\xff\xfe\x00",
        b"{}",
        b"5",
        b"",
    ],
    ids=lambda line: line[:40].decode(errors="replace"),
)
def test_hostile_lines_are_left_out(line: bytes) -> None:
    assert read_line(line) is None


HEAD: dict[str, Any] = {
    **dict.fromkeys(("began", "available", "cpus"), 1),
    **dict.fromkeys(("folder", "tier", "limited_by"), "x"),
    "command": ["python"],
    "exact_mark": True,
}


@pytest.mark.parametrize("version", [VERSION + 1, 0, True, "1", None])
def test_another_version_is_not_taken_for_ours(version: object) -> None:
    assert read_line(json.dumps({"recording": VERSION, **HEAD}).encode()) is not None
    assert read_line(json.dumps({"recording": version, **HEAD}).encode()) is None


def test_what_a_later_version_adds_is_left_alone() -> None:
    line = {"end": {"exit_code": 0, "seconds": 1.0, "stopped": "", "colour": "red"}}
    assert read_line(json.dumps(line).encode()) == RecordingEnd(exit_code=0, seconds=1.0, stopped="")
    assert read_line(b'{"moon": {"phase": 3}}') is None


def test_long_texts_and_long_lists_are_cut() -> None:
    note = read_line(json.dumps({"note": "x" * 100_000}).encode())
    assert isinstance(note, str) and len(note) == 4096
    sample = read_line(json.dumps({"s": [1, 1, 1, None, [[1, 2, 3, 4, 5]] * 5000]}).encode())
    assert isinstance(sample, MemorySample) and len(sample.processes) == 100
    stack = read_line(json.dumps({"stack": [1] * 5000}).encode())
    assert isinstance(stack, SeenStack) and len(stack.calls) == 200
    held = read_line(json.dumps({"held": [[1, 1]] * 5000}).encode())
    assert isinstance(held, HeldByStacks) and len(held.stacks) == 1000
    assert read_line(json.dumps({"note": "x" * (2 << 20)}).encode()) is None
