"""Small file systems of the tests' own, on loop devices: made, mounted, and gone afterwards also on failure."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-E", "lazy_itable_init=1,nodiscard"],
    "ext3": ["mkfs.ext3", "-q"],
    "xfs": ["mkfs.xfs", "-q"],
    "btrfs": ["mkfs.btrfs", "-q"],
}
_MEMORY = Path("/dev/shm")
_SPARE_BYTES = 2 << 30  # of memory, with one of them full


def shell(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


@contextmanager
def disk(folder: Path, kind: str, *, size: str = "320M", options: str = "rw") -> Iterator[Path]:
    """A file system of `kind`, mounted in `folder`; its image is in memory if it is small: a real disk makes each sync wait."""
    if os.geteuid() != 0 or shutil.which(MKFS[kind][0]) is None:
        pytest.skip(f"needs root and {MKFS[kind][0]}; .ci/run installs e2fsprogs, xfsprogs and btrfs-progs")
    folder.mkdir(parents=True)
    mounted = folder / "disk"
    image = (
        _MEMORY if size.endswith("M") and _has_room() else folder
    ) / f"oomguard-test-{os.getpid()}-{folder.name}.img"
    shell("truncate", "-s", size, image)
    shell(*MKFS[kind], image)
    mounted.mkdir()
    tried = subprocess.run(
        ["mount", "-o", f"loop,{options}", str(image), str(mounted)], capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        pytest.skip(f"may not mount a loop device: {tried.stderr.strip()}; run the tests as root to turn this on")
    try:
        yield mounted
    finally:
        for line in Path("/proc/swaps").read_text().splitlines():
            area = line.split(" ")[0].split("\t")[0].replace("\\040", " ")
            if area.startswith(f"{mounted}/"):
                subprocess.run(["swapoff", area], check=False)
        subprocess.run(["umount", "-l", str(mounted)], check=False)
        image.unlink()


def _has_room() -> bool:
    if not os.access(_MEMORY, os.W_OK) or psutil.virtual_memory().available < _SPARE_BYTES:
        return False
    return psutil.disk_usage(str(_MEMORY)).free > _SPARE_BYTES
