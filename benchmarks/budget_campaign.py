"""Does the budget hold? Long runs of `oomguard run --max-rss ... prepare`, watched from outside: `make campaign`.

Each run is alone in a cgroup without a limit, so only oomguard's own limit can hold it. Memory is sampled every 10
ms from memory.stat of every cgroup that the job's processes are in, found through /proc/PID/cgroup; that counts
also what was charged before oomguard entered its own cgroup. "by its own account" is what oomguard reports itself.

    python -m benchmarks.budget_campaign                                       1 GB, 15 GB, random words: some minutes
    python -m benchmarks.budget_campaign --small 20MB --large 100MB --random 40MB      a try
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import corpus, recording
from benchmarks.compare import warm
from benchmarks.measuring import run_measured
from oomguard.units import format_size, parse_size

MOST_GROWTH = 1.05  # the peak for the large text against the small one's


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run of the campaign. Sizes in bytes."""

    kind: str
    input_bytes: int
    budget: int
    outcome: str
    exit_code: int
    wall_seconds: float
    tokens: int | None
    peak_sampled: int  # unreclaimable, from outside
    peak_sampled_with_kernel: int
    peak_reported: int | None  # by oomguard
    samples: int
    longest_gap_seconds: float
    enforced_by: str | None
    cgroups_left: int

    @property
    def held(self) -> bool:
        reported = self.peak_reported if self.peak_reported is not None else self.budget + 1
        return self.outcome == "done" and max(self.peak_sampled, reported) <= self.budget and not self.cgroups_left


def run(kind: str, size: int, budget: str) -> Outcome:
    """Make the input if need be, run, measure, remove the tokens."""
    source = recording.DATA / f"{kind}-{size}-1.txt"
    made = corpus.make(source, size=size, kind=kind, seed=1)
    with tempfile.TemporaryDirectory(prefix="out-", dir=recording.DATA) as out:
        warm(source)
        command = [sys.executable, "-m", "oomguard", "run", "--max-rss", budget, "prepare", str(source)]
        done = run_measured(
            [*command, "--out", f"{out}/tokens", "--val-fraction", "0", "--json", "--quiet"],
            memory_max=None,
            input_path=source,
            timeout_seconds=7200,
        )
    if done.status != "done":
        print(done.stderr, file=sys.stderr)
    return Outcome(
        kind=kind,
        input_bytes=int(str(made["size"])),
        budget=parse_size(budget),
        outcome=done.status,
        exit_code=done.exit_code,
        wall_seconds=round(done.wall_seconds, 2),
        tokens=done.result.get("tokens"),
        peak_sampled=done.reading.peak_unreclaimable,
        peak_sampled_with_kernel=done.reading.peak_with_kernel,
        peak_reported=done.result.get("peak_unreclaimable"),
        samples=done.reading.samples,
        longest_gap_seconds=round(done.reading.longest_gap_seconds, 3),
        enforced_by=done.result.get("enforced_by"),
        cgroups_left=done.reading.cgroups_left,
    )


def line(outcome: Outcome) -> str:
    reported = format_size(outcome.peak_reported) if outcome.peak_reported is not None else "not said"
    return (
        f"| {outcome.kind} | {outcome.input_bytes / 1e6:,.0f} MB | {format_size(outcome.budget)} "
        f"| {outcome.wall_seconds:.1f} "
        f"| {outcome.input_bytes / outcome.wall_seconds / 1e6:.0f} | {format_size(outcome.peak_sampled)} "
        f"| {format_size(outcome.peak_sampled_with_kernel)} | {reported} | {outcome.exit_code} "
        f"| {'yes' if outcome.held else 'NO'} |"
    )


HEADER = (
    "| input | size | budget | seconds | MB/s | peak, sampled outside | with kernel memory | by its own account "
    "| exit | held |\n"
    "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=parse_size, default=parse_size("1GB"))
    parser.add_argument("--large", type=parse_size, default=parse_size("15GB"))
    parser.add_argument("--random", type=parse_size, default=parse_size("2GB"))
    parser.add_argument("--budget", action="append", help="default: 512M and 256M")
    asked = parser.parse_args()
    recording.DATA.mkdir(parents=True, exist_ok=True)
    needed, free = (
        int(1.6 * asked.large) + asked.small + int(2.2 * asked.random),
        shutil.disk_usage(recording.DATA).free,
    )
    if free < needed:
        sys.exit(
            f"error: {format_size(needed)} of disk needed in {recording.DATA}, {format_size(free)} free\n"
            "  try: --large 1GB"
        )
    is_try = asked.large < parse_size("15GB")
    folder = Path(tempfile.mkdtemp(prefix="try-", dir=recording.DATA)) if is_try else recording.new_record()
    table = folder / "budget_campaign.csv"
    table.unlink(missing_ok=True)  # a campaign is one whole: rows of two would be compared
    outcomes: list[Outcome] = []
    print(HEADER, flush=True)
    for budget in asked.budget or ["512M", "256M"]:
        for kind, size in (("text", asked.small), ("text", asked.large), ("random-words", asked.random)):
            outcomes.append(run(kind, size, budget))
            print(line(outcomes[-1]), flush=True)
            recording.append_rows(table, [asdict(outcomes[-1])])
    failed = [outcome for outcome in outcomes if not outcome.held]
    for small, large in zip(outcomes[0::3], outcomes[1::3], strict=True):
        ratios = [large.peak_sampled / max(small.peak_sampled, 1)]
        if large.peak_reported and small.peak_reported:
            ratios.append(large.peak_reported / small.peak_reported)
        shown = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(
            f"\nunder {format_size(small.budget)}: peak of the large text over the small one's: {shown} "
            "(sampled, reported)"
        )
        # Below 1 GB the program is still filling its pieces and caches: the ratio is shown, and judges nothing.
        failed += [large] if max(ratios) > MOST_GROWTH and asked.small >= parse_size("1GB") else []
    sys.exit(f"\nerror: {len(failed)} of these did not hold" if failed else 0)


if __name__ == "__main__":
    main()
