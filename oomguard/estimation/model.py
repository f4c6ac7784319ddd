"""How to do a preparation job on this machine: what it takes, how long, and what other ways would take."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from oomguard.preparation.model import show_duration
from oomguard.text import Rows, printable
from oomguard.units import MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from oomguard.estimation.baselines import NaiveWay
    from oomguard.estimation.cluster_plan import ClusterPlan
    from oomguard.estimation.run_forecast import RunForecast, ShortRun
    from oomguard.preparation.model import PreparePlan
    from oomguard.preparation.reading.corpus_sample import CorpusSample, Estimate
    from oomguard.preparation.reading.source import Source


_ALTERNATIVES = "alternatives"
_SHARED = 1.15  # times longer beside other programs: worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """What `oomguard plan` found. Sizes in bytes."""

    prepare: PreparePlan
    corpus: CorpusSample
    tokens: Estimate  # with end-of-text
    disk_needed: int  # at most, by the band of the tokens
    forecast: RunForecast | None  # None: nothing was tried
    tried: tuple[ShortRun, ...]
    untried_because: str  # "": it was tried
    calibration_seconds: float
    naive: tuple[NaiveWay, ...]
    available: int  # memory of this machine, or of the cgroup that limits us
    available_limited_by: str
    command: tuple[str, ...]
    notes: tuple[str, ...]
    servers: ServerNeeds | None = None  # None: all of the input is here
    cluster: ClusterPlan | None = None  # with --cluster; then `forecast` is of one of its tasks

    @property
    def is_possible(self) -> bool:
        """Whether it can be done here as it was asked."""
        return self.disk_needed <= self.prepare.free_disk_bytes

    def render(self) -> RenderableType:
        """Build the screen for people."""
        screen = Table.grid(padding=(0, 2))
        screen.add_column()
        screen.add_column(overflow="fold")
        cluster = self.cluster.rows() if self.cluster is not None else []
        servers = self.servers.lines() if self.servers is not None else ()
        for label, value in (*self._job(), *self._forecast(), *servers, *cluster):
            screen.add_row(label, Text(value))
        others = [] if cluster else [*self._others(), Text("")]
        return Group(screen, Text(""), *others, *(Text(line) for line in self._next()))

    def _job(self) -> list[tuple[str, str]]:
        corpus, plan = self.corpus, self.prepare
        text = f"{_band(corpus.text_bytes)} of text"
        packed = f" in {format_size(corpus.disk_bytes)}" if corpus.disk_bytes != corpus.text_bytes.value else ""
        files = f"{len(plan.inputs)} files" if len(plan.inputs) != 1 else printable(str(plan.inputs[0]["path"]))
        spread = max(self.tokens.high - self.tokens.value, self.tokens.value - self.tokens.low)
        whole = self.tokens.low == self.tokens.high
        percent = max(0.1, 100 * spread / max(1, self.tokens.value))
        ids = f"{self.tokens.value:,}" if whole else f"{self.tokens.value:,} ± {percent:.1f}%"
        part = format_size(corpus.sampled_bytes)
        sampled = f"the first {part}" if corpus.from_start and self.servers is None else f"{part} from all over it"
        if corpus.is_whole or (self.forecast and self.forecast.tried_whole):
            sampled = "all of it"
        enough = "" if self.is_possible else ": NOT ENOUGH"
        return [
            ("input", f"{files}  {text}{packed}"),
            ("sampled", sampled),
            ("tokens", f"{ids} ({plan.encoding}, {corpus.bytes_per_token:.2f} bytes of text each)"),
            ("disk", f"{format_size(self.disk_needed)} needed, {format_size(plan.free_disk_bytes)} free{enough}"),
            ("budget", f"{format_size(plan.budget)} ({plan.limited_by})"),
            ("workers", f"{plan.workers}, chunks of {format_size(plan.piece_bytes)}"),
        ]

    def _forecast(self) -> list[tuple[str, str]]:
        run = self.forecast
        bound = f"{format_size(self.prepare.sum)} planned for, whatever the size of the input"
        if run is None:
            return [("peak", bound), ("time", f"not tried: {self.untried_because}")]
        peak = f"{format_size(run.peak)} ({format_size(run.peak_low)} to {format_size(run.peak_high)}); {bound}"
        time = f"{show_duration(run.seconds)} ({show_duration(run.seconds_low)} to {show_duration(run.seconds_high)})"
        time += f", {format_size(run.bytes_per_second)}/s"
        if run.seconds_beside_others > _SHARED * run.seconds:
            busy = show_duration(run.seconds_beside_others)
            time += f"; {busy} if other programs are as busy as during the trial"
        runs = "1 short run on a part" if len(self.tried) == 1 else f"{len(self.tried)} short runs on parts"
        parts = "the whole job" if run.tried_whole else f"{runs} of this input"
        return [
            ("peak", peak),
            ("time", time),
            ("tried", f"{parts}, {self.calibration_seconds:.1f} s"),
        ]

    def _others(self) -> list[RenderableType]:
        table = Table.grid(padding=(0, 2))
        table.add_column(overflow="fold", min_width=len(_ALTERNATIVES))
        for _ in range(3):
            table.add_column(overflow="fold")
        table.add_row(_ALTERNATIVES, "need", "here", "smallest machine")
        for way in self.naive:
            here = "fits" if way.dies_at is None else f"dies at {format_size(way.dies_at)}"
            size = f"{way.machine_gib} GiB ({way.machine})" if way.machine_gib else way.machine
            swap = f", or {format_size(way.swap)} of swap" if way.swap else ""
            table.add_row(way.name, format_size(way.needs), here, f"{size}{swap}")
        memory = f"{format_size(self.available)} ({self.available_limited_by})"
        wide = f"U+{ord(self.corpus.widest_character):04X}" if self.corpus.widest_character else "-"
        stored = self.corpus.shape.widest
        kept = f"the widest character is {wide}, so Python stores {stored} byte{'s' * (stored != 1)} per character"
        return [table, Rows([("here", memory), ("note", kept)])]

    def _next(self) -> list[str]:
        notes = [f"note: {note}" for note in self.notes]
        if not self.is_possible:
            short = format_size(self.disk_needed - self.prepare.free_disk_bytes)
            return [*notes, f"cannot be done here: the disk of {printable(self.prepare.folder)} lacks {short}",
                    "try: --out FOLDER on another disk, or df -h to see where there is room"]  # fmt: skip
        return [*notes, "next:", f"  {printable(shlex.join(self.command))}"]

    def to_json(self) -> dict[str, Any]:
        """The same facts for programs: sizes are integers of bytes."""
        facts = asdict(replace(self, prepare=replace(self.prepare, inputs=()))) | {
            "is_possible": self.is_possible,
            "command": list(self.command),
        }
        facts["prepare"]["inputs"] = list(self.prepare.inputs)
        facts["command_line"] = shlex.join(self.command)
        return {"schema": "oomguard.plan/1", **facts}


def _band(estimate: Estimate) -> str:
    if estimate.low == estimate.high:
        return format_size(estimate.value)
    return f"about {format_size(estimate.value)} ({format_size(estimate.low)} to {format_size(estimate.high)})"


# What a job asks of the servers that have its input.
#
# Source: https://huggingface.co/docs/hub/rate-limits, of files (`resolvers`), in five minutes; and what reading does:
# two requests a file beside one for each 64 MiB, two more for each unit of a planned job, and one where it ends.

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
