"""Give every text about kills to `diagnose` as a log: code, documentation, change logs. None of them is a log.

`python -m benchmarks.log_prose [FOLDER...]` (`make prose`): without a folder the standard library, what is installed beside
it and /usr/share/doc. Only files that hold a word of the prefilter are read whole. A file that quotes a real log line for
line cannot be told from one; the known ones are listed with what they hold.
"""

from __future__ import annotations

import gzip
import sys
import sysconfig
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from oomguard.diagnosis.killers.reader import PROGRAMS, find_in_blocks
from oomguard.formats.kernel_log import Notice, OomEvent, OtherKill

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 8 << 20
# Quotes of real logs, line for line.
QUOTED: dict[str, str] = {}


def folders() -> list[Path]:
    """Where texts about kills lie on any machine."""
    paths = sysconfig.get_paths()
    return [
        Path(paths["stdlib"]),
        Path(paths["purelib"]),
        Path("/usr/share/doc"),
        Path("/usr/lib/python3/dist-packages"),
    ]


def texts(where: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """Every file that holds a word that matters."""
    words = (*PROGRAMS.words, *PROGRAMS.few)
    for folder in where:
        for path in sorted(folder.rglob("*")):
            try:
                if (
                    path.is_symlink()
                    or not path.is_file()
                    or path.suffix in (".pyc", ".so")
                    or path.stat().st_size > LARGEST
                ):
                    continue
                text = path.read_bytes()
                text = gzip.decompress(text)[:LARGEST] if path.suffix == ".gz" else text
            except (OSError, EOFError, zlib.error):
                continue
            if b"\0" not in text[:4096] and any(word.search(text) for word in words):
                yield path, text


def kills(text: bytes) -> list[str]:
    """What is taken for a kill in it."""
    return [
        str(found.evidence or found.trigger_name) if isinstance(found, OomEvent) else str(getattr(found, "line", found))
        for found in find_in_blocks([text])
        if isinstance(found, OomEvent | OtherKill)
    ]


def notices(text: bytes) -> list[str]:
    """What is taken for an end without a reason, or other memory that ran out."""
    return [f"{found.told_by}: {found.line}" for found in find_in_blocks([text]) if isinstance(found, Notice)]


def main() -> None:
    wrong = read = 0
    for path, text in texts([Path(folder) for folder in sys.argv[1:]] or folders()):
        read += 1
        for line in kills(text):
            known = QUOTED.get(path.name)
            wrong += known is None
            print(f"{'quoted' if known else 'WRONG '} {path}: {line[:300]}")
        for line in notices(text)[:3]:
            print(f"notice {path}: {line[:200]}")
    print(f"{read:,} files hold a word that matters; {wrong} lines in them are taken for a kill")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
