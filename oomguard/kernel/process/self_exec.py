"""Start another process of this package, from wherever it is imported."""

from __future__ import annotations

import sys
from pathlib import Path

import oomguard

# -P and an appended path: a file named json.py in the folder where the user works is never imported.
_START = "import sys; sys.path.append({path!r}); from {module} import main; main()"


def own_command(module: str, *arguments: str) -> list[str]:
    """The command that calls main() of one of our modules in a fresh interpreter."""
    code = _START.format(path=str(Path(oomguard.__file__).parents[1]), module=module)
    return [sys.executable, "-P", "-c", code, *arguments]
