"""What check says of small programs, beside what they hold: each is run, and the kernel asked."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from oomguard.script_analysis.api import check_script
from oomguard.units import MIB

_WORDS = [f"{first}{last}" for first in ("whale", "ship", "sea", "captain", "of", "the") for last in range(400)]
_HELD = """
def _held():
    with open("/proc/self/status") as status:
        return max(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
_before = _held()
"""

PROGRAMS = {
    "lines": 'rows = []\nfor line in open("in.txt"):\n    rows.append(line)\n',
    "hashes": 'import hashlib\nseen = set()\nfor line in open("in.txt", "rb"):\n    seen.add(hashlib.md5(line).hexdigest())\n',
    "numbers": 'n = []\nfor line in open("in.txt"):\n    n.append(len(line) * 1000)\n',
    "words": 'docs = []\nfor line in open("in.txt"):\n    docs.append(line.split())\n',
    "fields": 'index = {}\nfor line in open("in.txt"):\n    k, v = line.split("\\t")\n    index[k] = v\n',
    "arrays": (
        "import numpy as np\nout = []\n"
        'for line in open("in.txt", "rb"):\n    out.append(np.frombuffer(line, dtype=np.uint8))\n'
    ),
    "lists": (
        "from collections import defaultdict\nby = defaultdict(list)\n"
        'for line in open("in.txt"):\n    k, v = line.split("\\t")\n    by[k].append(v)\n'
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 MB of lines of 70 bytes, each with a key and a text."""
    made = tmp_path_factory.mktemp("measured")
    chance = random.Random(5)
    with (made / "in.txt").open("w") as file:
        for number in range(170_000):
            file.write(f"key{number}\t{' '.join(chance.choices(_WORDS, k=8))}\n")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_what_is_said_is_near_what_is_held(name: str, folder: Path) -> None:
    """Within a third: filters and duplicates are not seen, so that a program may hold less."""
    script = folder / f"{name}.py"
    script.write_text(PROGRAMS[name])
    run = subprocess.run(
        [sys.executable, "-I", "-c", "import numpy\n" + _HELD + PROGRAMS[name] + "print(_held() - _before)"],
        cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    check = check_script(script, folder / "in.txt")
    assert check.needed_bytes is not None
    assert check.needed_bytes - check.fixed_bytes == pytest.approx(int(run.stdout), rel=0.34, abs=2 * MIB)
