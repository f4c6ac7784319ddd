"""The writer of `prepare` for shards that are converted: the same sink, the same manifest."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from oomguard.errors import OomguardError, Stopped
from oomguard.kernel.process import stop_on_signals
from oomguard.preparation.preconditions import require_free_names, require_some_text
from oomguard.preparation.writing.manifest import Manifest
from oomguard.preparation.writing.shard_check import require_own_leftovers, require_shards
from oomguard.preparation.writing.shard_writer import ShardPlan
from oomguard.preparation.writing.token_sink import EncodedPiece, TokenSink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from oomguard.preparation.writing.formats.base import Layout, OutputFormat
    from oomguard.preparation.writing.manifest import Progress

_BOTH_SPLITS = "0.5"  # a fraction, so that the sink has a writer for each; pieces name their split


class Pieces(Protocol):
    """Where pieces come from."""

    def pieces(self, position: dict[str, int]) -> Iterator[EncodedPiece]:
        """All pieces from a position on."""
        ...


@dataclass(slots=True)
class ConversionSink:
    """A sink with its manifest."""

    manifest: Manifest
    sink: TokenSink
    stack: ExitStack
    progress: Progress
    was_done: bool  # by an earlier run

    @property
    def result(self) -> dict[str, Any] | None:
        """What was appended at the end."""
        return self.progress.result

    @property
    def shards(self) -> list[dict[str, Any]]:
        """All that are finished."""
        return self.progress.shards if self.was_done else self.sink.shards

    @property
    def files(self) -> list[dict[str, Any]]:
        """Those that speak of all shards of a split."""
        return self.result["files"] if self.result else self.sink.files

    @property
    def tokens(self) -> int:
        """Taken so far."""
        return self.sink.totals.tokens

    @property
    def documents(self) -> int:
        """Ends of documents taken so far, or where the format has them, in its files."""
        counts = [shard["documents"] for shard in self.sink.shards if "documents" in shard]
        return sum(counts) if counts else self.sink.totals.documents

    def write(self, source: Pieces) -> None:
        """Take all that is left. Raises: Stopped on a signal; OomguardError; what was written is kept."""
        asked = self.stack.enter_context(stop_on_signals())
        try:
            for piece in source.pieces(self.sink.position):
                self._heed(asked())
                self.sink.take(piece)
            self.sink.finish()
        except Stopped:
            self.sink.checkpoint()
            raise
        except OomguardError:
            self._try_checkpoint()
            raise
        require_some_text(self.tokens)

    def _heed(self, signal_name: str | None) -> None:
        if signal_name is not None:
            stopped = Stopped(f"by {signal_name} after {self.tokens:,} tokens; they are kept", do="run it again")
            stopped.exit_status = 128 + signal.Signals[signal_name]
            raise stopped

    def _try_checkpoint(self) -> None:
        try:
            self.sink.checkpoint()
        except OomguardError:
            return  # the disk may be what is wrong: then the last checkpoint stands

    def finish(self, result: dict[str, Any]) -> None:
        """Append the result: only now the set is whole."""
        result |= {"shards": self.sink.shards, "files": self.sink.files}
        self.manifest.append(result=result)
        self.progress.shards, self.progress.result = list(self.sink.shards), result


def open_sink(
    stack: ExitStack,
    out: Path,
    output: OutputFormat,
    layout: Layout,
    header: dict[str, Any],
    *,
    restart: bool,
    checkpoint_seconds: float,
    val_fraction: str | None = _BOTH_SPLITS,
    first_is_val: bool = False,
    encoded_bytes: int | None = None,
    manifest: Manifest | None = None,
) -> ConversionSink:
    """Begin, or resume. `val_fraction` to `encoded_bytes` as in TokenSink; `manifest`: who holds the lock already.

    Raises: OomguardError, as `prepare` does.
    """
    if manifest is None:
        manifest = Manifest(out)
        stack.callback(manifest.close)
    check = partial(_check, out, output, layout, restart)
    progress = manifest.begin(header, restart=restart, check=check)
    plan = ShardPlan(folder=out, state=manifest.state, format=output, layout=layout, first_is_val=first_is_val)
    sink = TokenSink(
        plan,
        manifest,
        val_fraction=val_fraction,
        checkpoint_seconds=checkpoint_seconds,
        encoded_bytes=encoded_bytes,
    )
    stack.callback(sink.close)
    if progress.result is None:
        sink.resume(progress)
    return ConversionSink(manifest, sink, stack, progress, progress.result is not None)


def _check(out: Path, output: OutputFormat, layout: Layout, restart: bool, progress: Progress) -> None:
    require_free_names(out, output, layout, ours=progress.names)
    if restart:
        require_own_leftovers(out, progress)
        return
    require_shards(out, progress, output=output, layout=layout, every_byte=False)
