"""Whether the installed tiktoken and the core know the same characters.

Tokens depend on the Unicode version that the split pattern is run with. tiktoken 0.9 to 0.14 are all built with 16.0; a
later one may not be. Its version is looked up first, because importing it takes 50 ms.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from oomguard.preparation.encoding.native import CoreUnavailable, unicode_version

# All 1,114,112 code points were compared with these.
_COMPARED = {"0.9.0": "16.0", "0.11.0": "16.0", "0.12.0": "16.0", "0.13.0": "16.0", "0.14.0": "16.0"}
# Letters, marks and numbers that a version of Unicode added; the versions before do not know them.
_ADDED = {
    "14.0": "\U00010570\U0001df00",
    "15.0": "\U0001e4d0\U00011f04",
    "15.1": "\U0002ebf0\U0002ee5d",
    "16.0": "\U000105c0\U00010d40\U0001e5d0",
    "17.0": "\U00010940\U00011db0\U000323b0",
}


def tiktoken_unicode() -> str | None:
    """The Unicode version that the installed tiktoken splits by, such as "16.0"; None if it is none that is known."""
    return _COMPARED.get(_installed()) or _probe()


def _installed() -> str:
    """Tiktoken's version, by the name of the folder beside it: importlib.metadata takes 15 ms to import."""
    found = find_spec("tiktoken")
    folders = [] if found is None else [Path(place).parent for place in found.submodule_search_locations or ()]
    names = [entry.name for folder in folders for entry in folder.glob("tiktoken-*.dist-info")]
    if len(names) != 1:  # installed in another way
        from importlib.metadata import version

        return version("tiktoken")
    return names[0].removeprefix("tiktoken-").removesuffix(".dist-info")


def _probe() -> str | None:
    """Ask tiktoken which characters are letters, marks or numbers: it drops what its pattern does not match."""
    import tiktoken

    encoding = tiktoken.Encoding(
        "probe",
        pat_str=r"[\p{L}\p{M}\p{N}]",
        mergeable_ranks={bytes([byte]): byte for byte in range(256)},
        special_tokens={},
    )
    known = [
        name
        for name, added in _ADDED.items()
        if encoding.decode_bytes(encoding.encode_ordinary(added)) == added.encode()
    ]
    partly = [name for name, added in _ADDED.items() if encoding.encode_ordinary(added) and name not in known]
    newest = len(known)
    return known[-1] if known == list(_ADDED)[:newest] and known and not partly else None


def require_same_unicode() -> str:
    """Give the Unicode version that both split by.

    Raises: CoreUnavailable if they differ: then only tiktoken gives tiktoken's tokens.
    """
    ours, theirs = unicode_version(), tiktoken_unicode()
    if ours != theirs:
        raise CoreUnavailable(
            f"tiktoken {_installed()} uses Unicode {theirs or 'unknown'}, the encoder core {ours}",
            do="pip install 'tiktoken==0.14.0'",
        )
    return ours
