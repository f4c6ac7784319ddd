"""Where --text-field finds the text: the same place in JSON, in Parquet and in Arrow."""

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oomguard.errors import BadInput
from oomguard.preparation.reading.arrow_texts import find_column
from oomguard.preparation.reading.fields import find_field, paths_of
from oomguard.preparation.reading.lines import BadLine, parse_lines
from tests.properties import examples

NAMES = ["a", "b", "c", "d", "a.b", "b.c", "c.d", "a.b.c", "b.c.d", "a.b.c.d"]
objects: Any = st.recursive(
    st.just("text"), lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, min_size=1, max_size=3), max_leaves=6
)


def test_names_with_dots_are_tried_longest_first() -> None:
    assert paths_of("text") == (("text",),)
    assert paths_of("meta.text") == (("meta.text",), ("meta", "text"))
    assert paths_of("a.b.c") == (("a.b.c",), ("a.b", "c"), ("a", "b.c"), ("a", "b", "c"))
    assert paths_of("x|y.z") == (("x|y.z",), ("x",), ("y.z",), ("y", "z"))
    assert len(paths_of(".".join("abcdefgh"))) == 2


@examples(300)
@given(value=st.dictionaries(st.sampled_from(NAMES), objects, min_size=1, max_size=4), count=st.integers(1, 4))
def test_each_kind_of_input_finds_the_same(value: dict[str, Any], count: int) -> None:
    """Texts differ by their path, so that it is seen which one was found."""
    field = ".".join("abcd"[:count])
    named = _named(value, ())
    is_there, found = find_field(named, field)
    line = json.dumps(named).encode()
    if is_there and isinstance(found, str):
        assert parse_lines(line, field=field, errors="strict", at_start=True).text.decode() == found
    else:
        with pytest.raises(BadLine):
            parse_lines(line, field=field, errors="strict", at_start=True)
    table = pa.Table.from_pylist([named])
    try:
        path = find_column(table.schema, field, "x")
    except BadInput:
        assert not is_there or not isinstance(found, str)
    else:
        assert found == "/".join(path)


def _named(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return "/".join(path)
    return {name: _named(inner, (*path, name)) for name, inner in value.items()}
