"""`oomguard run --max-rss SIZE prepare` in a real memory cgroup: the budget holds, whatever the text and whoever dies."""

import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.formats.cgroup import parse_memory_stat_v1, parse_memory_stat_v2
from oomguard.kernel.cgroup.directory import find_own_cgroup
from tests.preparation.expecting import read_tokens, tokens_of
from tests.running import children_of, coordinator_of, job_of, run_oomguard, started, wait_until

pytestmark = [pytest.mark.live, pytest.mark.pairs]

MIB = 1 << 20
BUDGET = "160M"
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "a",
    "is",
    "that",
    "for",
    "it",
    "as",
    "was",
    "with",
    "be",
    "by",
    "on",
    "not",
    "he",
    "his",
    "but",
    "at",
    "are",
    "this",
    "have",
    "from",
    "or",
    "had",
    "an",
    "they",
]


def english(size: int, seed: int = 1) -> str:
    """Text whose words repeat."""
    chance = random.Random(seed)
    line = " ".join(chance.choices(WORDS, k=2000)) + "\n"
    return (line * (size // len(line) + 1))[:size]


def never_repeated(size: int) -> str:
    """Words of random letters: the worst case for a tokenizer's cache."""
    letters = "".join(random.Random(2).choices("abcdefghijklmnopqrstuvwxyz", k=size // 8 * 7))
    return " ".join(letters[at : at + 7] for at in range(0, len(letters), 7))


def cgroup_of(pid: int) -> Path:
    """The memory cgroup that a process is in, as this one sees it."""
    own = find_own_cgroup()
    assert own is not None
    text = Path(f"/proc/{pid}/cgroup").read_text()
    name = re.search(r"^(?:[0-9]+:[^:]*\bmemory\b[^:]*|0:):(.*)$", text, re.MULTILINE)
    assert name is not None
    found = own.path.joinpath(name[1].rpartition("/")[2])
    return found if found.exists() else own.path


def unreclaimable(cgroup: Path) -> int:
    stat = (cgroup / "memory.stat").read_text()
    kmem = cgroup / "memory.kmem.usage_in_bytes"
    if "total_rss" in stat:
        return parse_memory_stat_v1(stat, kmem.read_text() if kmem.exists() else "").unreclaimable or 0
    return parse_memory_stat_v2(stat).unreclaimable or 0


def budgets_left() -> Iterator[Path]:
    """Budgets whose run is over; others may run on this machine at the same time."""
    own = find_own_cgroup()
    assert own is not None
    for budget in own.path.glob("oomguard-*"):
        number = re.fullmatch(r"oomguard-([0-9]+)(?:-[0-9]+)?", budget.name)
        if number is not None and not psutil.pid_exists(int(number[1])):
            yield budget


@pytest.mark.parametrize(("make", "size"), [(english, 60 * MIB), (never_repeated, 12 * MIB)])
def test_the_budget_holds_and_the_answer_is_right(tmp_path: Path, make: Callable[[int], str], size: int) -> None:
    """Sampled from outside, in the cgroup's own account; the tokens are tiktoken's."""
    text = make(size)
    (tmp_path / "text.txt").write_text(text)
    most = 0
    with started(
        "run", "--max-rss", BUDGET, "prepare", "text.txt", "--val-fraction", "0", "--json", cwd=tmp_path
    ) as run:
        own = find_own_cgroup()
        assert own is not None
        # The job exists a moment before it is in its cgroup.
        wait_until(lambda: (job := coordinator_of(run)) is not None and cgroup_of(job.pid) != own.path)
        cgroup = cgroup_of(job_of(run).pid)
        limit = cgroup / ("memory.max" if (cgroup / "memory.max").exists() else "memory.limit_in_bytes")
        assert int(limit.read_text()) <= 160 * MIB
        while run.poll() is None and cgroup.exists():
            try:
                most = max(most, unreclaimable(cgroup))
            except OSError:
                break
            time.sleep(0.005)
        output, errors = run.communicate()
    assert run.returncode == 0, errors
    result = json.loads(output)
    assert 0 < most <= 160 * MIB
    assert result["peak_unreclaimable"] <= 160 * MIB
    assert result["enforced_by"].startswith("cgroup v")
    assert read_tokens(tmp_path / "tokens" / "train.bin")[:20000] == tokens_of([text[:200000]])[:20000]
    assert list(budgets_left()) == []


def test_an_encoder_that_is_killed_is_replaced_at_once(tmp_path: Path) -> None:
    """Its pieces are done again, and the shards are those of an undisturbed run."""
    (tmp_path / "text.txt").write_text(english(120 * MIB))
    options = ("text.txt", "--val-fraction", "0", "--json", "--quiet")
    calm = json.loads(run_oomguard("prepare", *options, "--out", "calm", cwd=tmp_path).stdout)
    with started("run", "--max-rss", "400M", "prepare", *options, "--out", "disturbed", cwd=tmp_path) as run:
        wait_until((tmp_path / "disturbed/.oomguard/t000000.partial").exists)
        victim = children_of(run)[0]
        victim.kill()
        began = time.monotonic()
        before = {victim.pid, *(child.pid for child in children_of(run))}
        wait_until(lambda: {child.pid for child in children_of(run)} - before or run.poll() is not None)
        noticed = time.monotonic() - began
        output, errors = run.communicate()
    assert run.returncode == 0, errors
    assert noticed < 20  # a tenth of a second, where the machine is not busy
    disturbed = json.loads(output)
    assert disturbed["restarted_workers"] == 1
    assert disturbed["shards"] == calm["shards"]
    assert not psutil.pid_exists(victim.pid)


def test_a_budget_that_is_too_small_is_refused_and_names_the_least(tmp_path: Path) -> None:
    """And the least that it names is enough."""
    (tmp_path / "text.txt").write_text(english(5 * MIB))
    refused = run_oomguard("run", "--max-rss", "40M", "prepare", "text.txt", cwd=tmp_path)
    assert refused.returncode == 1
    least = re.search(r"--max-rss ([0-9]+M) or more", refused.stderr)
    assert least is not None, refused.stderr
    assert not (tmp_path / "tokens").exists()
    enough = run_oomguard("run", "--max-rss", least[1], "prepare", "text.txt", cwd=tmp_path)
    assert enough.returncode == 0, enough.stderr
    assert list(budgets_left()) == []


def test_a_limit_around_it_that_is_too_small_names_one_that_is_enough(tmp_path: Path) -> None:
    """A run of the whole command, of whose budget `prepare` takes a part."""
    (tmp_path / "text.txt").write_text(english(MIB))
    command = ("--", sys.executable, "-m", "oomguard", "prepare", "text.txt")
    refused = run_oomguard("run", "--max-rss", "60M", *command, cwd=tmp_path)
    assert refused.returncode == 1
    around = re.search(r"\(([0-9]+M) where it is the run or container around", refused.stderr)
    assert around is not None, refused.stderr
    enough = run_oomguard("run", "--max-rss", around[1], *command, cwd=tmp_path)
    assert enough.returncode == 0, enough.stderr
    assert list(budgets_left()) == []


@pytest.mark.slow
def test_a_large_dictionary_at_the_least_budget_costs_a_few_workers_and_no_more(tmp_path: Path) -> None:
    """Each restart reads its row group from the beginning: 30 kernel kills and minutes in 0.1.0."""
    chance = random.Random(3)
    texts = [" ".join(chance.choices(WORDS, k=8000)) for _ in range(450)]
    rows = [chance.choice(texts) for _ in range(900)]
    pq.write_table(pa.table({"text": rows}), tmp_path / "in.parquet", dictionary_pagesize_limit=64 * MIB)
    refused = run_oomguard("run", "--max-rss", "60M", "prepare", "in.parquet", cwd=tmp_path)
    least = re.search(r"--max-rss ([0-9]+M) or more", refused.stderr)
    assert least is not None, refused.stderr
    done = run_oomguard("run", "--max-rss", least[1], "prepare", "in.parquet", "--json", cwd=tmp_path)
    if done.returncode:  # said at once, with a budget that is enough
        killed = re.search(r"do not fit in the budget \(([0-9]+) processes were ended by the kernel\)", done.stderr)
        assert killed is not None, done.stderr
        assert int(killed[1]) <= 6
        enough = re.search(r"try: --max-rss ([0-9]+M)", done.stderr)
        assert enough is not None, done.stderr
        done = run_oomguard("run", "--max-rss", enough[1], "prepare", "in.parquet", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["restarted_workers"] <= 6
    assert json.loads(done.stdout)["documents"] == len(rows)
