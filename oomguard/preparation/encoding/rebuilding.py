"""How the core is built where it is missing, as a command."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

_TREE = Path(__file__).parents[3]


def rebuild_command(tree: Path = _TREE) -> str:
    """Install again; where there is no compiler, pip brings ziglang for the time of the build.

    tree: where the package's folder is.
    """
    compiler = "" if shutil.which("cc") else "OOMGUARD_CC=zig "
    install = f"{compiler}{shlex.quote(sys.executable)} -m pip install --no-deps"
    if (tree / "hatch_build.py").is_file():  # it runs from its sources
        return f"{install} --editable {shlex.quote(str(tree))}"
    # No cache: pip keeps the wheel that it built without a compiler.
    return f"{install} --force-reinstall --no-cache-dir oomguard"
