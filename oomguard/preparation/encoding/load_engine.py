"""Which engine there is here: the native core where it was built and knows the tokenizer, else the reference."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.native import CoreUnavailable, available_tiers, unicode_version
from oomguard.preparation.encoding.native_engine import NativeEngine, load_vocabulary, map_vocabulary, write_vocabulary
from oomguard.preparation.encoding.tokenizers import DocumentEngine, Engine, NeedsRoom, ReferenceEngine, TiktokenEngine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import ExitStack

    from oomguard.preparation.encoding.encodings import EncodingSpec


# Whether the installed tiktoken and the core know the same characters.
#
# Tokens depend on the Unicode version that the split pattern is run with. tiktoken 0.9 to 0.14 are all built with 16.0;
# a later one may not be. Its version is looked up first, because importing it takes 50 ms.


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


_ASKED = "OOMGUARD_ENGINE"  # "tiktoken": do without the core
_NO_ENDS = memoryview(b"")


def require_core() -> str:
    """Give the instructions that the native core uses here: "avx2", "sse2", "neon" or "plain".

    Raises: CoreUnavailable if it is not there, or does not give tiktoken's tokens.
    """
    if os.environ.get(_ASKED) == TiktokenEngine.name:
        raise CoreUnavailable(f"{_ASKED} is {TiktokenEngine.name}", do=f"unset {_ASKED}")
    require_same_unicode()
    return available_tiers()[-1].name.lower()


def open_vocabulary(stack: ExitStack) -> int:
    """Give a descriptor for `fill_vocabulary`, which workers may inherit before that; `stack` closes it."""
    fd = os.memfd_create("oomguard-vocabulary")
    stack.callback(os.close, fd)
    return fd


def fill_vocabulary(spec: EncodingSpec, file: Path, fd: int) -> None:
    """Put the vocabulary where all workers share it, in 4 ms for GPT-2 and 40 the first time: they start meanwhile."""
    write_vocabulary(spec, file, fd)


def why_no_core(spec: EncodingSpec) -> str:
    """Why the reference encodes for this tokenizer here, and not the native core; "": the core does."""
    if not spec.native:
        return spec.why_slow
    try:
        require_core()
    except CoreUnavailable as error:
        return str(error)
    return ""


def uses_core(spec: EncodingSpec) -> bool:
    """Whether the native core encodes for this tokenizer here."""
    return spec.native and not why_no_core(spec)


def load_engine(spec: EncodingSpec, file: Path, *, cache_bits: int = 16, vocabulary_fd: int = -1) -> Engine:
    """Give the native core where it can do the work, else the reference; no descriptor: a vocabulary of its own.

    Whoever gives a descriptor has asked `uses_core`.
    """
    if vocabulary_fd < 0 and not uses_core(spec):
        return load_reference(spec, file)
    vocabulary = map_vocabulary(vocabulary_fd) if vocabulary_fd >= 0 else load_vocabulary(spec, file)
    engine: Engine = NativeEngine(spec, vocabulary, cache_bits=cache_bits)
    if spec.nfc:
        from oomguard.preparation.encoding.nfc import NfcEngine

        engine = NfcEngine(engine) if spec.added_first else engine
    if spec.added:
        engine = AddedTokensEngine(engine, dict(spec.added))
    return NfcEngine(engine) if spec.nfc and not spec.added_first else engine


def load_reference(spec: EncodingSpec, file: Path) -> ReferenceEngine:
    """Give the library whose tokens are right. Raises: NothingFound if it is not installed."""
    if spec.form != "huggingface":
        return TiktokenEngine(spec, file)
    from oomguard.preparation.encoding.huggingface import HuggingFaceEngine

    return HuggingFaceEngine(spec, file)


# Added tokens that are no special ones, such as Qwen's "<tool_call>": one token wherever they stand in a text.


class AddedTokensEngine(DocumentEngine):
    """Encodes what stands between added tokens with another engine."""

    def __init__(self, inner: Engine, added: Mapping[str, int]) -> None:
        self.name = inner.name
        self._inner = inner
        self._ids = {name.encode(): token for name, token in added.items()}
        longest_first = sorted(self._ids, key=len, reverse=True)
        # They begin with the same character, which the search looks for.
        self._pattern = re.compile(b"(" + b"|".join(map(re.escape, longest_first)) + b")")

    def encode(
        self, text: Any, *, mark: bytes, eot: int, tokens: memoryview, ends: memoryview, before: int, scratch: int
    ) -> tuple[int, int]:
        """Encode as `Engine` says."""
        if not self._pattern.search(text):
            return self._inner.encode(
                text, mark=mark, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
            )
        return super().encode(text, mark=mark, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch)

    def encode_documents(
        self, text: Any, offsets: Sequence[int], *, eot: int, tokens: memoryview, ends: memoryview, before: int,
        scratch: int,
    ) -> int:  # fmt: skip
        """Encode as `Engine` says."""
        first, last = int(offsets[0]), int(offsets[-1])
        if not self._pattern.search(text, first, last):
            return self._inner.encode_documents(
                text, offsets, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
            )
        return super().encode_documents(
            text, offsets, eot=eot, tokens=tokens, ends=ends, before=before, scratch=scratch
        )

    def document(self, document: bytes, at: int, tokens: memoryview, count: int, scratch: int) -> int:
        """Encode as `DocumentEngine` says."""
        for number, piece in enumerate(self._pattern.split(document)):
            if number % 2:
                tokens[count] = self._ids[piece]
                count += 1
            elif piece:
                try:
                    more, _ = self._inner.encode(
                        piece, mark=b"", eot=-1, tokens=tokens[count:], ends=_NO_ENDS, before=0, scratch=scratch
                    )
                except NeedsRoom as needs:
                    raise NeedsRoom(needs.size, at + needs.at) from None
                count += more
            at += len(piece)
        return count
