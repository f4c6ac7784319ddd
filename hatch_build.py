"""Builds the encoder core into the wheel, or in place for an editable install; `python hatch_build.py` does the latter.

The compiler is $OOMGUARD_CC, else $CC, else cc, else the one of the package ziglang if it is installed (OOMGUARD_CC=zig
asks for that one, and pip then brings it). Without a compiler the wheel is pure and oomguard encodes with tiktoken,
which it says.
OOMGUARD_WHEEL=x86_64-linux-gnu.2.17 (a target of zig) crosses to another machine and tags the wheel for PyPI.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, where hatchling is not installed
    BuildHookInterface = object  # type: ignore[assignment,misc]

PACKAGE = Path("oomguard", "preparation", "encoding")
SOURCE = PACKAGE / "core"
LIBRARY = PACKAGE / "libcore.so.1"  # not .so alone: that would be the name of a module of Python
ONCE = ["pretoken", "cache", "merge", "vocabulary", "encode", "nfc", "json"]
# Compiled once for each kind of processor; what differs is classify.h, find_way() and find_lowest() alone.
TIERED = ["scan_r50k", "scan_cl100k", "scan_o200k", "look_up", "merge_short"]
TIERS = {
    "x86_64": {
        "plain": [],
        "sse2": ["-DOG_USE_SSE2"],
        "avx2": ["-DOG_USE_AVX2", "-mavx2", "-mbmi", "-mbmi2", "-mpopcnt"],
    },
    "aarch64": {"plain": [], "neon": ["-DOG_USE_NEON"]},
}
FLAGS = ("-std=c11", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")
OPTIMIZED = ("-O3", "-g0")  # -O2 costs SSE2 and plain C a fifth
PLATFORM_TAGS = {
    "x86_64-linux-gnu.2.17": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "aarch64-linux-gnu.2.17": "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "x86_64-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-linux-musl": "musllinux_1_2_aarch64",
}


def find_compiler(target: str = "") -> list[str] | None:
    """The command that compiles C, for another machine if `target` names one; None if there is none."""
    zig = [sys.executable, "-m", "ziglang", "cc", *(["-target", target] if target else [])]
    asked = os.environ.get("OOMGUARD_CC") or os.environ.get("CC")
    if asked and asked != "zig" and not target:
        return shlex.split(asked)
    if not asked and not target and (found := shutil.which("cc")):
        return [found]
    return zig if importlib.util.find_spec("ziglang") else None


def compile_objects(source: Path, folder: Path, *, compiler: list[str], machine: str, flags: list[str]) -> list[str]:
    """Compile each file once, or once for each tier of the machine; give the objects.

    Raises: subprocess.CalledProcessError when the compiler fails, whose messages are on stderr.
    """
    jobs = [(name, "", []) for name in ONCE]
    jobs += [(name, tier, more) for tier, more in TIERS.get(machine, {"plain": []}).items() for name in TIERED]
    objects = []
    for name, tier, more in jobs:
        objects.append(str(folder / f"{name}{tier}.o"))
        tiered = [f"-DOG_TIER={tier}", *more] if tier else []
        subprocess.run([*compiler, *flags, *tiered, "-c", str(source / f"{name}.c"), "-o", objects[-1]], check=True)
    return objects


def compile_core(
    source: Path, library: Path, *, compiler: list[str], machine: str, flags: tuple[str, ...] = OPTIMIZED
) -> None:
    """Compile and link; `library` is replaced only by a whole one.

    Raises: subprocess.CalledProcessError when the compiler fails, whose messages are on stderr.
    """
    all_flags = [*FLAGS, *flags]
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".core-") as name:
        folder = Path(name)
        objects = compile_objects(source, folder, compiler=compiler, machine=machine, flags=all_flags)
        linked = folder / "core.so"
        subprocess.run([*compiler, *all_flags, "-shared", "-s", *objects, "-o", str(linked)], check=True)
        linked.replace(library)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg,misc,unused-ignore]
    """What hatchling calls before it packs a wheel."""

    def dependencies(self) -> list[str]:
        """What pip is to install for the build alone: there, nothing that is installed already can be imported."""
        return ["ziglang"] if os.environ.get("OOMGUARD_CC") == "zig" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into the tree; a wheel is tagged for this platform, as nothing of Python's ABI is used."""
        root, target = Path(self.root), os.environ.get("OOMGUARD_WHEEL", "")
        compiler = find_compiler(target)
        build_data["pure_python"] = True
        if compiler is None or not sys.platform.startswith("linux"):
            if target:
                raise SystemExit(f"error: OOMGUARD_WHEEL={target} needs ziglang\n  try: pip install ziglang")
            print("oomguard: no C compiler: the encoder core is not built, tiktoken will be used", file=sys.stderr)
            return
        machine = target.partition("-")[0] or platform.machine()
        if version == "editable":
            compile_core(root / SOURCE, root / LIBRARY, compiler=compiler, machine=machine)
            return
        library = root / "build" / f"core-{target or 'here'}.so"  # the tree keeps the library that it runs with
        library.parent.mkdir(exist_ok=True)
        compile_core(root / SOURCE, library, compiler=compiler, machine=machine)
        tag = PLATFORM_TAGS.get(target) or sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{tag}"
        build_data["pure_python"] = False
        build_data["force_include"][str(library)] = str(LIBRARY)


def main() -> None:
    """Build for this machine, in place."""
    compiler = find_compiler()
    if compiler is None:
        raise SystemExit("error: there is no C compiler\n  try: sudo apt-get install gcc, or pip install ziglang")
    root = Path(__file__).parent
    compile_core(root / SOURCE, root / LIBRARY, compiler=compiler, machine=platform.machine())


if __name__ == "__main__":
    main()
