"""One chunk of the input into tokens: read, check, encode, count documents, compare a sample."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from oomguard.preparation.encoding.chunk_tools import ChunkTools
from oomguard.preparation.encoding.document_chunks import DocumentChunks
from oomguard.preparation.encoding.text_chunks import TextChunks

if TYPE_CHECKING:
    from oomguard.preparation.engines.messages import Encoded, EncodeTask, WorkerConfig


class ChunkEncoder:
    """Encodes one chunk after another into the slots."""

    def __init__(self, config: WorkerConfig) -> None:
        self._tools = ChunkTools(config)
        documents = DocumentChunks(self._tools)
        self._by_kind = {
            "text": TextChunks(self._tools).encode,
            "lines": documents.encode_lines,
            "rows": documents.encode_rows,
            "documents": documents.encode_packed,
            "values": documents.encode_values,
        }

    @property
    def engine_name(self) -> str:
        """What encodes."""
        return self._tools.engine.name

    def encode(self, task: EncodeTask) -> Encoded:
        """Encode a chunk into its slot; what is wrong with its text is in the answer.

        Raises: OSError if its file cannot be read.
        """
        tools = self._tools
        before = tools.verifier.documents, tools.verifier.bytes
        tools.bytes.crc = 0
        answer = self._by_kind[task.kind](task)
        if answer.error is not None:
            return answer
        return replace(
            answer,
            crc=tools.bytes.crc,
            verified_documents=tools.verifier.documents - before[0],
            verified_bytes=tools.verifier.bytes - before[1],
            rss=tools.rss(),
        )
