"""Fill the screens of README.md: `python tools/readme.py` runs each command and writes what it says.

<!-- run: COMMAND -->             the command, and what a terminal of 80 columns shows of it
<!-- file: FILE as: COMMAND -->   a screen that the tests keep, where this machine cannot show it (swap, a container)
<!-- end -->

`--check` writes nothing, and exits with 1 where a screen no longer has the shape of what the command says: its labels,
not its numbers, which differ between two machines and two runs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from hashlib import sha1
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
_SHOWN_ROOT = "/home/you/oomguard"
_BLOCK = re.compile(r"<!-- (run|file): (.*?) -->\n```\n(.*?)```\n<!-- end -->", re.DOTALL)
_RANKS = "https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken"


def blocks(text: str) -> list[tuple[str, str, str]]:
    """Give each screen of the text: its kind, what is in its marker, and what it shows."""
    return [match.groups() for match in _BLOCK.finditer(text)]  # type: ignore[misc]  # three groups


def seen(kind: str, marker: str, *, folder: Path = ROOT) -> str:
    """Give the screen as it is now; commands run in `folder`."""
    if kind == "file":
        file, _, command = marker.partition(" as: ")
        return f"$ {command}\n{(ROOT / file).read_text(encoding='utf-8')}"
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    done = subprocess.run(marker, shell=True, cwd=folder, env=environment(), text=True, check=False, **both)  # type: ignore[call-overload]
    lines = "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())
    return f"$ {marker}\n{lines.replace(str(folder), _SHOWN_ROOT)}"


def environment() -> dict[str, str]:
    """A terminal's width, this checkout's command, and GPT-2's ranks, which oomguard brings, where tiktoken looks."""
    vocab = ROOT / "demo" / "vocab"
    ranks = vocab / sha1(_RANKS.encode()).hexdigest()
    if not ranks.exists():
        vocab.mkdir(parents=True, exist_ok=True)
        shipped = ROOT / "oomguard/preparation/encoding/vocab/r50k_base.tiktoken"
        ranks.write_bytes(shipped.read_bytes())
    path = f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"
    return {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "TIKTOKEN_CACHE_DIR": str(vocab),
        "COLUMNS": "80",
        "TERM": "dumb",
    }


def shape(screen: str) -> list[str]:
    """Give the labels of a screen in their order, each once: the words that a line begins with, before its text."""
    labels: dict[str, None] = {}
    for line in screen.splitlines():
        if line[:1].strip() and not line.startswith("$ ") and "|" not in line:
            found = re.match(r"oomguard:|[^\s:]+(?: [^\s:]+)?(?=  |:)|\S+", line)
            labels[re.sub(r"[0-9]+", "0", found[0] if found else line)] = None
    return list(labels)


def main() -> None:
    """Write or check."""
    check = "--check" in sys.argv[1:]
    text = README.read_text(encoding="utf-8")
    drifted = []
    shutil.rmtree(ROOT / "demo/tokens", ignore_errors=True)  # else it would be done already
    for kind, marker, shown in blocks(text):
        print(marker, flush=True)
        now = seen(kind, marker)
        if shape(now) != shape(shown):
            drifted.append(marker)
        begin = f"<!-- {kind}: {marker} -->\n```\n"
        text = text.replace(f"{begin}{shown}```", f"{begin}{now}```")
    if check:
        print("\n".join(f"drifted: {marker}" for marker in drifted) or "every screen has the shape of its command")
        sys.exit(bool(drifted))
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
