"""Added tokens that are no special ones, such as Qwen's "<tool_call>": one token wherever they stand in a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from oomguard.preparation.encoding.tokenizers import DocumentEngine, Engine, NeedsRoom

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_ENDS = memoryview(b"")


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
