"""What is said under a result of the run that it comes from."""

from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oomguard.preparation.reading.source import Source
from oomguard.preparation.result import finished
from oomguard.preparation.writing.formats.base import Layout
from oomguard.preparation.writing.formats.table import FORMATS
from tests.preparation.test_model import MADE


@pytest.mark.parametrize(
    ("path", "compression", "encoding", "divided"),
    [
        ("a.txt", None, "", True),
        ("https://server/a.txt", None, "", True),
        ("hf://datasets/a/b/a.txt", None, "", True),
        ("-", None, "", False),
        ("a.txt.gz", "gz", "", False),
        ("https://server/a.txt.gz", "gz", "", False),
        ("a.txt", None, "utf-16", False),
    ],
)
def test_a_separator_is_advised_only_where_the_end_of_a_text_is_not_known(
    path: str, compression: Any, encoding: str, divided: bool
) -> None:
    """Where it is known, a larger --val-fraction is enough: on a server, too."""
    source = Source(path=path, kind="text", compression=compression, size=9 << 30, mtime_ns=0, encoding=encoding)
    output = FORMATS["nanogpt"]
    resolved = SimpleNamespace(
        output=output, separator=b"", layout=Layout(name="", token_bytes=2),
        spec=SimpleNamespace(vocabulary_size=50257, eot=50256),
    )  # fmt: skip
    job: Any = SimpleNamespace(sources=[source], resolved=resolved, options=SimpleNamespace(out=Path("tokens")))
    result = asdict(MADE) | {"shards": [asdict(shard) for shard in MADE.shards[:1]]}
    advice = "\n".join(finished(job, result).next_lines)
    assert ("--separator" not in advice) == divided
    assert "--val-fraction" in advice
