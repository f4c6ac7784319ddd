"""Damage real logs at random and read them: nothing may be raised, and no victim named that is not in the text.

`python -m benchmarks.log_mutations [COUNT [SEED]]` (`make fuzz`: 100,000). Lines are dropped, torn, doubled, swapped,
mixed with another log's; bytes are flipped, cut out, repeated. Seeds are the captures of this project and, with
OOMGUARD_DATA, the logs of real machines. A failure prints its seed, which makes the same log again.
"""

from __future__ import annotations

import os
import random
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from oomguard.diagnosis.conclude import conclude
from oomguard.diagnosis.filter import Asked
from oomguard.diagnosis.kill_search import FoundKills
from oomguard.diagnosis.killers import BY_IDENT, KILLERS
from oomguard.diagnosis.killers.reader import find_in_blocks
from oomguard.diagnosis.screens.page import diagnosis_page
from oomguard.formats.kernel_log import Notice, OomEvent, OtherKill

CAPTURES = Path(__file__).parents[1] / "tests/captures"
MOST_LINES = 160  # of a log that one mutation starts from: the campaign shall see many, not few large ones
SLOWEST_SECONDS = 2.0
BATCH = 500

HOSTILE = [
    b"\x1b]0;owned\x07", b"[red]", b"<script>", b"\x00", b"\xff\xfe", b"9" * 5000, b"(" * 300, b"\n", b"#012", b"kB", b"-1", b"{", b'"',
    b"oom-kill:constraint=", b" invoked oom-killer: gfp_mask=0x", b"Killed process ", b") total-vm:", b"Out of memory: ",
    b"[  pid  ]   uid  tgid total_vm      rss ", b"order=99", b"18446744073709551616",
]  # fmt: skip


def seeds() -> list[list[bytes]]:
    """The logs to start from, as lines."""
    files = sorted(CAPTURES.glob("kernel_log/*.log")) + sorted(CAPTURES.glob("pasted/m*"))
    if data := os.environ.get("OOMGUARD_DATA"):
        files += sorted(Path(data, "oomlogs").glob("*.log"))
        files += sorted(Path(data, "oomlogs_vm").glob("6.1/memcg-raw/journal-k.*"))
    told = [wording.example.encode() for killer in KILLERS for wording in killer.wordings]
    return [file.read_bytes().split(b"\n") for file in files] + [
        told[start : start + 8] for start in range(0, len(told), 8)
    ]


def mutate(chance: random.Random, logs: list[list[bytes]]) -> bytes:
    """Make a damaged log of one or two real ones."""
    lines = _window(chance, chance.choice(logs))
    for _ in range(chance.randint(1, 6)):
        lines = chance.choice(LINE_DAMAGES)(chance, lines, logs)
    text = bytearray(b"\n".join(lines))
    for _ in range(chance.choice((0, 0, 1, 3, 30))):
        _damage_bytes(chance, text)
    return bytes(text)


def _window(chance: random.Random, lines: list[bytes]) -> list[bytes]:
    start = chance.randint(0, max(0, len(lines) - MOST_LINES))
    return lines[start : start + MOST_LINES]


def _drop(chance: random.Random, lines: list[bytes], _: object) -> list[bytes]:
    kept = chance.random()
    return [line for line in lines if chance.random() < kept]


def _double(chance: random.Random, lines: list[bytes], _: object) -> list[bytes]:
    return [again for line in lines for again in [line] * (1 + (chance.random() < 0.2))]


def _tear(chance: random.Random, lines: list[bytes], _: object) -> list[bytes]:
    torn = []
    for line in lines:
        cut = chance.randint(0, len(line)) if chance.random() < 0.1 else len(line)
        torn += [line[:cut], *([line[cut:]] if cut < len(line) and chance.random() < 0.5 else [])]
    return torn


def _join(chance: random.Random, lines: list[bytes], _: object) -> list[bytes]:
    joined: list[bytes] = []
    for line in lines:
        if joined and chance.random() < 0.05:
            joined[-1] += line
        else:
            joined.append(line)
    return joined


def _wrap(chance: random.Random, lines: list[bytes], _: object) -> list[bytes]:
    width = chance.randint(30, 90)
    return [line[start : start + width] for line in lines for start in range(0, max(len(line), 1), width)]


def _swap(chance: random.Random, lines: list[bytes], _: object) -> list[bytes]:
    shuffled = list(lines)
    for _ in range(len(lines) // 20):
        first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
        shuffled[first], shuffled[second] = shuffled[second], shuffled[first]
    return shuffled


def _interleave(chance: random.Random, lines: list[bytes], logs: list[list[bytes]]) -> list[bytes]:
    other = iter(_window(chance, chance.choice(logs)))
    mixed = []
    for line in lines:
        mixed.append(line)
        while chance.random() < 0.3:
            mixed.append(next(other, b""))
    return mixed


LINE_DAMAGES = [_drop, _double, _tear, _join, _wrap, _swap, _interleave]


def _damage_bytes(chance: random.Random, text: bytearray) -> None:
    if not text:
        return
    place = chance.randrange(len(text))
    match chance.randrange(4):
        case 0:
            text[place] = chance.randrange(256)
        case 1:
            del text[place : place + chance.randint(1, 200)]
        case 2:
            text[place:place] = text[place : place + chance.randint(1, 200)]
        case _:
            text[place:place] = chance.choice(HOSTILE)


def check(text: bytes, *, shown: bool) -> int:
    """Read a log and explain what is in it. Gives how many victims it named; asserts that the text names them."""
    began = time.process_time()
    found_all = list(find_in_blocks([text]))
    assert time.process_time() - began < SLOWEST_SECONDS
    events = [found for found in found_all if isinstance(found, OomEvent)]
    flat = re.sub(r"\s+", " ", text.decode(errors="replace").replace("#012", " "))
    flat += "\n" + text.decode(errors="replace").replace("\n", "")  # a terminal may have broken a number in two
    unbroken = "".join(flat.split())
    for event in events:
        for victim in event.victims:
            assert re.search(rf"process :?{victim.pid}\b|pid:{victim.pid}\b", flat), victim
            # A line may have been broken twice, and a name with it: where it had a blank is not told then. One that
            # breaks off has dots.
            assert "".join(victim.name.removesuffix("...").split()) in unbroken, victim
        assert "".join((event.half_chosen or "").split()) in unbroken, event.half_chosen
    for other in found_all:
        if isinstance(other, OtherKill | Notice):
            assert other.pid is None or re.search(rf"(?<![0-9])0*{other.pid}(?![0-9])", flat), other
            assert BY_IDENT[other.told_by].says == (other.says if isinstance(other, Notice) else "kill"), other
    if shown:
        found_kills = FoundKills()
        found_kills.kills.extend(found for found in found_all if isinstance(found, OomEvent | OtherKill))
        found_kills.notices.extend(found for found in found_all if isinstance(found, Notice))
        found_kills.found = found_kills.all_found = len(found_kills.kills)
        diagnosis = replace(conclude(found_kills, Asked(), None), verbose=True, every=True)
        diagnosis.to_json()
        screen, page = str(diagnosis.render()), diagnosis_page(diagnosis, made=0.0, by="")
        assert "\x1b" not in screen + page
        assert page.count("<script") == 1  # that sorts its tables
    return sum(len(event.victims) for event in events)


def run_batch(first: int, count: int) -> int:
    """Check some mutations, each made from its own number."""
    logs = seeds()
    victims = 0
    for number in range(first, first + count):
        text = mutate(random.Random(number), logs)
        try:
            victims += check(text, shown=number % 10 == 0)
        except BaseException:
            print(f"seed {number}: python -m benchmarks.log_mutations 1 {number}", file=sys.stderr)
            raise
    return victims


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    began = time.monotonic()
    starts = range(first, first + count, BATCH)
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        sizes = [min(BATCH, first + count - start) for start in starts]
        victims = sum(workers.map(run_batch, starts, sizes))
    print(
        f"{count:,} damaged logs from {len(seeds())} real ones: nothing raised, {victims:,} victims named, each in its text"
    )
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
