"""What a script needs whatever its input: imports by the table, processes by the script's text."""

import ast

import pytest

from oomguard.script_analysis.resources import FixedMemory, count_fixed
from oomguard.units import MIB

CPUS = 4


def fixed(text: str, own: tuple[str, ...] = ()) -> FixedMemory:
    return count_fixed([ast.parse(text)], own, cpus=CPUS)


def test_imports_are_counted_once_and_the_rest_is_named() -> None:
    bare = fixed("import os, json")
    assert bare.imports == ()
    both = fixed("import numpy as np\nimport pandas as pd\nimport torch\nfrom . import x\nimport helpers", ("helpers",))
    assert both.imports == ("pandas",)  # which brings numpy
    assert both.uncounted_imports == ("torch",)
    assert both.counted - bare.counted == 48 * MIB


@pytest.mark.parametrize(
    ("text", "processes"),
    [
        ("ds.map(f, num_proc=8)", 9),
        ("n = 6\nPool(n)", 7),
        ("Pool()", CPUS + 1),
        ("ProcessPoolExecutor(max_workers=os.cpu_count() // 2)", CPUS // 2 + 1),
        ("Parallel(n_jobs=-1)(x)", CPUS + 1),
        ("Parallel(n_jobs=3)(x)", 4),
        ("ThreadPool(8)\nThreadPoolExecutor(max_workers=8)", 1),
        ("Process(target=f).start()", 2),
        ("for i in range(n):\n    Process(target=f).start()", None),
        ("Pool(args.workers)", None),
        ("parser.add_argument('--n', num_workers=3)", 1),
        ("print('nothing')", 1),
    ],
)
def test_the_number_of_processes_is_read_or_said_to_be_unknown(text: str, processes: int | None) -> None:
    assert fixed(text).processes == processes
