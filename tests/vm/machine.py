"""Real machines that this one is not: a small Debian in qemu, with cgroup v2, systemd, other kernels.

A boot takes about ten seconds under emulation (no KVM needed) and code in the guest runs 10 to 20 times slower,
so a test module boots once, leaves JSON in /out, and its tests read that.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import oomguard

HERE = Path(__file__).parent
GUEST = HERE / "guest"

Facts = dict[str, Any]


class Machine:
    """Starts guests that find oomguard, and what else was shared, in /host."""

    def __init__(self, folder: Path) -> None:
        self.share = folder / "share"
        self.folder = folder
        shutil.copytree(Path(oomguard.__file__).parent, self.share / "oomguard")

    def share_files(self, *files: Path) -> None:
        """Put files next to the package."""
        for file in files:
            shutil.copy(file, self.share)

    def share_modules(self, *names: str) -> None:
        """Put installed top-level modules there: of pure Python, or wheels for this Python (the guest's is 3.11)."""
        for name in names:
            spec = importlib.util.find_spec(name)
            assert spec is not None, name
            assert spec.origin is not None, name
            if Path(spec.origin).name == "__init__.py":
                shutil.copytree(Path(spec.origin).parent, self.share / name, dirs_exist_ok=True)
            else:
                shutil.copy(spec.origin, self.share)

    def run(self, name: str, command: str, *options: str, timeout: int = 300, memory: int = 768) -> dict[str, Facts]:
        """Boot, run `command`, and give the JSON results that it left in /out, by name.

        Everything it left is in `folder / name`. `options` are those of boot.sh; `memory` is in MiB.
        """
        if "--kernel" in options:
            need_kernel(options[options.index("--kernel") + 1])
        out = self.folder / name
        started = time.monotonic()
        boot: list[str | Path] = [
            HERE / "boot.sh",
            "--mem",
            str(memory),
            "--timeout",
            str(timeout),
            "--share",
            self.share,
            "--out",
            out,
        ]
        guest = subprocess.run([*boot, *options, "--", command], capture_output=True, text=True, check=False)
        assert guest.returncode == 0, guest.stdout + guest.stderr
        print(f"{name}: {time.monotonic() - started:.0f} s with boot")
        return {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}


def need_machine() -> None:
    """Build the guest the first time; skip, with the way to turn it on, where that cannot be."""
    if os.environ.get("OOMGUARD_VM") != "1":
        pytest.skip("boots virtual machines for some minutes; turn it on with OOMGUARD_VM=1")
    if not (HERE / "cache/root.img").exists() or not shutil.which("qemu-system-x86_64"):
        if os.getuid() != 0 or not shutil.which("apt-get"):
            pytest.skip("building the guest needs root on Debian; do it once with tests/vm/build.sh")
        build = subprocess.run([HERE / "build.sh"], capture_output=True, text=True, check=False)
        if build.returncode != 0:
            pytest.skip(f"tests/vm/build.sh failed (it needs a Debian mirror): {build.stderr[-500:]}")


def need_kernel(name: str) -> None:
    """Skip where this kernel was not built."""
    if not (HERE / "cache/kernels" / name / "initrd.img").exists():
        pytest.skip(f"this kernel was not built; do it with tests/vm/build.sh {name}")
