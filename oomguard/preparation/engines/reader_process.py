"""The stream reader: a process of its own that inflates what only one can inflate, and cuts it into chunks.

It hands compressed text and lines, and standard input, to the workers in shared memory. One bad file can make a
decompressor need any amount of memory: then the kernel ends this process, and the coordinator still knows which file
it was and what is done.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oomguard import errors
from oomguard.preparation.engines.messages import Channel, ReaderConfig, channel_of_helper
from oomguard.preparation.engines.slots import SlotLayout, Slots
from oomguard.preparation.reading.source import source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oomguard.preparation.reading.pieces import Piece
    from oomguard.preparation.reading.source import Source

_OOM_SCORE_ADJ = 600


def main() -> None:
    """Read what the coordinator names until it is gone."""
    channel = channel_of_helper(_OOM_SCORE_ADJ)
    messages = iter(channel)
    reader = _Reader(ReaderConfig(**next(messages)), channel, messages)
    while (message := reader.wait()) is not None:
        if "read" in message:
            reader.read(source_of(message["read"]), message["resume"], anew=message["anew"])


class _Reader:
    def __init__(self, config: ReaderConfig, channel: Channel, messages: Iterator[dict[str, Any]]) -> None:
        self._config = config
        self._channel = channel
        self._messages = messages
        self._free: list[int] = []
        self._notes: list[str] = []
        self._path: str | None = None
        self._fd = -1  # its descriptor
        layout = SlotLayout(
            longest_piece=config.longest_piece,
            token_bytes=config.token_bytes,
            slots=config.slots,
            with_origins=config.with_origins,
        )
        self._slots = Slots(layout, config.slots_fd)

    def read(self, source: Source, resume: dict[str, Any] | None, *, anew: bool) -> None:
        """Send a source's pieces, each in a slot that the coordinator gave; `anew`: it took back those from before."""
        if anew:
            self._free.clear()
        self._notes = []
        try:
            for piece in self._pieces(source, resume):
                self._send(piece)
        except errors.OomguardError as error:
            alone = getattr(error, "alone", None)  # of a BudgetTooSmall
            self._channel.send(
                {"error": {"class": type(error).__name__, "what": str(error), "do": error.do, "alone": alone}}
            )
        else:
            self._channel.send({"end": source.path, "notes": self._notes})

    def _pieces(self, source: Source, resume: dict[str, Any] | None) -> Iterator[Piece]:
        from fractions import Fraction

        from oomguard.preparation.reading.kinds import KINDS
        from oomguard.preparation.reading.pieces import ReadOptions

        config = self._config
        self._fd, self._path = -1, None if source.path == "-" or source.is_remote else source.path
        options = ReadOptions(
            errors=config.errors,
            separator=config.separator.encode("latin-1") if source.kind in ("text", "tar") else b"",
            universal_newlines=config.universal_newlines,
            piece_bytes=config.piece_bytes,
            longest_piece=config.longest_piece,
            largest_document=config.largest_document,
            family=config.family,
            val_share=Fraction(config.val_share),
            to_the_fault=config.to_the_fault,
            note=self._note,
        )
        module, _, function = KINDS[source.kind].reader.partition(":")
        read = getattr(importlib.import_module(f"oomguard.preparation.reading.{module}"), function)
        pieces: Iterator[Piece] = read(source, options=options, resume=resume, reserve=self._reserve)
        return pieces

    def _note(self, text: str) -> None:
        self._notes.append(text)

    def _send(self, piece: Piece) -> None:
        while not self._free:
            self._wait_or_end()
        slot = self._free.pop()
        size = sum(map(len, piece.data))
        text, at = self._slots.text(slot, size), 0
        for part in piece.data:
            text[at : at + len(part)] = part
            at += len(part)
        self._channel.send(
            {
                "slot": slot,
                "size": size,
                "task": piece.task,
                "starts_document": piece.starts_document,
                "ends_document": piece.ends_document,
                "resume": piece.resume,
                "where": piece.where,
                "split": piece.split,
                "goes_on": piece.goes_on,
                "origin": piece.origin,
                "member": piece.member,
                "read_to": self._reached() if piece.read_to is None else piece.read_to,
            }
        )

    def _reached(self) -> int | None:
        """How far the file was read that the pieces come from; None where it is not read from its begin to its end."""
        if self._path is None:
            return None
        if self._fd < 0:
            self._fd = _descriptor_of(self._path)
        return os.lseek(self._fd, 0, os.SEEK_CUR) if self._fd >= 0 else None

    def _reserve(self, size: int, where: str) -> None:
        self._channel.send({"need": size, "where": where})
        while True:
            answer = self._wait_or_end()
            if answer.get("granted"):
                return
            if "refused" in answer:
                raise errors.BudgetTooSmall(answer["refused"], do=answer["do"])

    def wait(self) -> dict[str, Any] | None:
        """Give the next message, with a slot already noted; None when the coordinator is gone."""
        message = next(self._messages, None)
        if message is not None and "slot" in message:
            self._free.append(message["slot"])
        return message

    def _wait_or_end(self) -> dict[str, Any]:
        message = self.wait()
        if message is None:
            raise SystemExit
        return message


def _descriptor_of(path: str) -> int:
    """The descriptor of a file that is open here; -1 for none."""
    wanted = Path(path).stat()
    for number in sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()):
        try:
            found = os.fstat(number)
        except OSError:
            continue  # the one that listed them
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return number
    return -1


if __name__ == "__main__":
    main()
