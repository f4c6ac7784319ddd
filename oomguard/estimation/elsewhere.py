"""What a job asks of the servers that have its input. Pure: facts in, numbers out.

Source: https://huggingface.co/docs/hub/rate-limits, of files (`resolvers`), in five minutes; and what reading does:
two requests a file beside one for each 64 MiB, two more for each unit of a planned job, and one where it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from oomguard.preparation.model import show_duration
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from oomguard.preparation.reading.source import Source

_RANGE = 64 * MIB
_UNIT = 256 * MIB  # of text
_WINDOW_SECONDS = 300
_ALLOWED = {"without an account": 3_000, "with a free one": 5_000, "with PRO": 12_000}
_DIVIDED = ("text", "jsonl", "parquet")  # kinds that are divided into units


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerNeeds:
    """What is asked of servers. Bytes are those of the files; all of them may pass, as of Parquet other columns do."""

    files: int
    bytes: int
    requests: int  # at most, for the bytes of files
    of_hub: int  # so many of them are the Hub's

    def lines(self) -> Iterator[tuple[str, str]]:
        """For people."""
        yield "requests", f"at most {self.requests:,} for {self.files:,} files ({format_size(self.bytes)})"
        if self.of_hub:
            most = max(self.of_hub, 1)
            waits = [
                f"{count:,} {who}" + (f" (at least {show_duration(self.least_seconds(count))})" if most > count else "")
                for who, count in _ALLOWED.items()
            ]
            yield "", f"the Hub allows in 5 minutes: {', '.join(waits)}"

    def least_seconds(self, allowed: int) -> float:
        """Seconds that so many requests take at the least."""
        return (-(-self.of_hub // allowed) - 1) * float(_WINDOW_SECONDS)


def server_needs(sources: Sequence[Source], *, text_bytes: int, in_units: bool) -> ServerNeeds | None:
    """What reading them asks of servers; None: nothing is on one."""
    remote = [source for source in sources if source.is_remote]
    if not remote:
        return None
    factor = _text_a_byte(sources, text_bytes)

    def requests(source: Source) -> int:
        return 2 + -(-(source.size or 0) // _RANGE) + (3 * count_units([source], factor) if in_units else 0)

    return ServerNeeds(
        files=len(remote),
        bytes=sum(source.size or 0 for source in remote),
        requests=sum(map(requests, remote)),
        of_hub=sum(requests(source) for source in remote if source.path.startswith("hf://")),
    )


def count_units(sources: Sequence[Source], text_a_byte: float) -> int:
    """About how many units a job is divided into."""
    return sum(
        max(1, -(-round((source.size or 0) * text_a_byte) // _UNIT))
        if source.kind in _DIVIDED and source.compression is None and not source.encoding
        else 1
        for source in sources
    )


def _text_a_byte(sources: Sequence[Source], text_bytes: int) -> float:
    """Bytes of text for each byte of the files."""
    return text_bytes / max(1, sum(source.size or 0 for source in sources))
