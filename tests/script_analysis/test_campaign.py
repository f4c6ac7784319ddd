"""check on files that nobody wrote for it: the standard library's and those of installed packages.

`OOMGUARD_CHECK_FILES=1000 pytest tests/script_analysis/test_campaign.py` takes that many; by default it takes a few.
"""

import os
import random
import re
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

import pytest

from oomguard.errors import BadInput

COUNT = int(os.environ.get("OOMGUARD_CHECK_FILES", "20"))
MOST_SECONDS = 5.0  # of CPU
MOST_BYTES = 300_000_000


@cache
def files() -> list[Path]:
    """A fixed choice, half of it from each; the longest are always among them."""
    chosen: list[Path] = []
    for key in ("stdlib", "purelib"):
        found = sorted(Path(sysconfig.get_paths()[key]).rglob("*.py"))
        if key == "stdlib":
            found = [file for file in found if "site-packages" not in file.parts]
        found.sort(key=lambda file: -file.stat().st_size)
        longest, others = found[: COUNT // 20], found[COUNT // 20 :]
        chosen += longest + random.Random(7).sample(others, min(len(others), COUNT // 2 - len(longest)))
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("number", range(COUNT))
def test_no_file_brings_it_down_or_takes_long(number: int) -> None:
    """Each in a process of its own, so that the kernel says what it took."""
    file = files()[number]  # here: to search for them at each start of the tests takes a second
    with subprocess.Popen([sys.executable, __file__, str(file)], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        peak = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, file
    assert usage.ru_utime + usage.ru_stime < MOST_SECONDS, file
    # Not ru_maxrss: it begins with what the process that starts another has.
    assert int(peak) * 1024 < MOST_BYTES, file


def check_one(file: str) -> None:
    """What is no Python 3 may be refused; anything else is a fault."""
    from oomguard.script_analysis.api import check_script

    try:
        check = check_script(file)
    except BadInput:
        return
    assert check.verdict in {"fits", "does not fit", "cannot say"}
    assert check.to_json()["schema"] == "oomguard.check/2"
    assert all(finding.line > 0 for finding in check.findings)


if __name__ == "__main__":
    check_one(sys.argv[1])
    print(re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1])
