"""What helper processes do without, and what works all the same."""

from __future__ import annotations

import subprocess
import sys

_IN_A_HELPER = """
import sys
from oomguard.preparation.engines.allocators import in_helper
in_helper()
from oomguard.preparation.reading import parquet
from oomguard.preparation.reading.arrow_texts import fitting, inner, plain
import pyarrow as pa
if int(pa.__version__.split(".")[0]) >= 18:  # earlier ones do not do without
    assert "numpy" not in sys.modules, "NumPy was imported for pyarrow"
assert "pyarrow.compute" not in sys.modules
kinds = pa.int8(), pa.uint16(), pa.int64()
for texts in ["a", "bb", "a", "ccc"], ["a", None, "bb", "a"], [None, None], ["a", "b", "c"]:
    for kind in kinds:
        coded = pa.array(texts).dictionary_encode().cast(pa.dictionary(kind, pa.string()))
        for first in range(len(texts)):
            expected = [text and text.encode() for text in texts[first:]]
            assert plain(coded[first:]).to_pylist() == expected
            sizes = [len(text or b"") for text in expected]
            counts = [count for count in range(len(sizes) + 1) if sum(sizes[:count]) <= 3]
            # Of a dictionary, a null counts as much as the first of its values.
            assert fitting(coded[first:], 3, at_least=False) in ([counts[-1]] if all(texts) else counts)
            assert fitting(pa.array(texts[first:], pa.large_string()), 3, at_least=False) == counts[-1]
assert inner(pa.array([{"text": "a"}, None]), ("text",)).to_pylist() == ["a", None]
import numpy
assert numpy.arange(3).sum() == 3
"""


def test_a_helper_reads_arrow_without_numpy_until_it_needs_it() -> None:
    subprocess.run([sys.executable, "-c", _IN_A_HELPER], check=True)
