"""Where raw results are kept, and on what machine they were taken: record/<date>-<machine>/."""

from __future__ import annotations

import csv
import datetime as dt
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = Path(os.environ.get("OOMGUARD_BENCH_DATA", ROOT / "bench-data")).resolve()
PACKAGES = ("oomguard", "gigatoken", "tiktoken", "numpy", "pyarrow", "datatrove", "tokenizers")


def machine_name() -> str:
    """Such as "2-core-amd-epyc": what matters for a comparison, and no host name."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    words = re.findall(r"[a-z0-9]+", (model[1] if model else platform.machine()).lower())
    return "-".join([str(os.cpu_count()), "core", *[word for word in words if word not in ("r", "tm", "cpu")][:3]])


def new_record() -> Path:
    """The folder of today on this machine, with its description in it."""
    folder = HERE / "record" / f"{dt.datetime.now(tz=dt.UTC).date().isoformat()}-{machine_name()}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lscpu.txt").write_text(subprocess.run(["lscpu"], capture_output=True, text=True, check=False).stdout)
    memory = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    versions = [
        f"{platform.system()} {platform.release()}",  # not the node name
        f"Python {platform.python_version()}",
        f"memory {int(memory[1]) / 2**20:.1f} GiB" if memory else "memory unknown",
        *(f"{name} {version}" for name in PACKAGES if (version := _version(name))),
    ]
    (folder / "versions.txt").write_text("\n".join(versions) + "\n")
    return folder


def _version(package: str) -> str | None:
    pythons = [sys.executable, str(venv(".venv-bench")), str(venv(".venv-bench-tokenizers"))]
    for python in reversed(pythons) if package == "tokenizers" else pythons:
        code = f"from importlib.metadata import version; print(version('{package}'))"
        try:
            done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.returncode == 0:
            return done.stdout.strip()
    return None


def venv(name: str) -> Path:
    """The Python of an environment; $OOMGUARD_BENCH_VENV stands for .venv-bench, and others lie beside it."""
    first = os.environ.get("OOMGUARD_BENCH_VENV") or str(ROOT / ".venv-bench")
    return Path(first + name.removeprefix(".venv-bench"), "bin", "python")


def append_rows(file: Path, rows: list[dict[str, Any]]) -> None:
    """Add to a CSV file, with its header if it is new; values are written as they are."""
    is_new = not file.exists()
    with file.open("a", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


def read_rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as text:
        return list(csv.DictReader(text))
