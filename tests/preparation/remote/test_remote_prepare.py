"""`prepare` of files on a server gives the shards of the same files on disk, with few requests and no secret told."""

import json
import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.preparation.disturbing import sums_of
from tests.preparation.remote.conftest import TOKEN
from tests.preparation.remote.corpora import ADDRESS, KINDS, corpus, documents, on_disk, parquet, prepared, sums_on_disk
from tests.preparation.remote.hub_server import COMMIT, REPOSITORY, SIGNATURE, Fault, HubServer
from tests.properties import some_of
from tests.running import run_oomguard

pytestmark = pytest.mark.slow  # whole runs


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_shards_as_files_on_disk(tmp_path: Path, hub: HubServer, kind: str) -> None:
    """Listed once and pinned; at most two requests a file beside one for each 64 MiB."""
    hub.files = corpus(kind)
    hub.page = 1  # of the list
    expected = sums_on_disk(hub.files)
    assert prepared(tmp_path, "remote", f"{ADDRESS}/data") == expected
    assert len(hub.requests("/resolve/")) <= 2 * 3  # two files, each less than 64 MiB
    assert len(hub.requests("^/api/")) == 3  # the commit, and two pages of the tree
    inputs = (tmp_path / "remote/.oomguard/manifest.jsonl").read_text()
    assert f"{ADDRESS}@{COMMIT}/data/part-0." in inputs
    assert SIGNATURE not in inputs
    again = run_oomguard("prepare", f"{ADDRESS}/data", "--out", "remote", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert sums_of(tmp_path / "remote") == expected


@pytest.mark.parametrize(
    ("fraction", "newlines"),
    [(None, "bytes"), (None, "universal"), ("0", "bytes"), ("0.25", "universal"), ("0.5", "bytes")],
)
def test_the_end_of_a_text_is_for_validation(
    tmp_path: Path, hub: HubServer, fraction: str | None, newlines: str
) -> None:
    """Each text is divided where it is on disk, also with lines that end in CR LF; two texts at one half are not divided."""
    hub.files = {name: data.replace(b"\n", b"\r\n") for name, data in corpus("text").items()}
    options = ["--newlines", newlines, *(["--val-fraction", fraction] if fraction else [])]
    expected = sums_on_disk(hub.files, *options)
    assert prepared(tmp_path, "remote", f"{ADDRESS}/data", *options) == expected


@pytest.mark.parametrize("kind", some_of(KINDS, one_in=2))
def test_documents_are_traced_to_the_same_places(tmp_path: Path, hub: HubServer, kind: str) -> None:
    hub.files = corpus(kind)
    folder = on_disk(tmp_path / "disk", hub.files)
    for out, source in (("local", str(folder / "data")), ("remote", f"{ADDRESS}/data")):
        done = run_oomguard("prepare", source, "--out", out, "--provenance", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    local, remote = (
        pq.read_table(tmp_path / out / "provenance-00000.parquet").to_pydict() for out in ("local", "remote")
    )
    names = [[Path(name).name for name in table.pop("source")] for table in (local, remote)]
    assert names[0] == names[1]
    assert remote == local


def test_other_addresses(tmp_path: Path, hub: HubServer) -> None:
    """A file, a glob, a revision, the dataset without `datasets/`, and https:// give what they name."""
    hub.files = corpus("jsonl")
    folder = on_disk(tmp_path / "disk", hub.files)
    first = prepared(tmp_path, "local", str(folder / "data/part-0.jsonl"))
    for number, address in enumerate([
        f"{ADDRESS}/data/part-0.jsonl",
        f"{ADDRESS}@main/**/*-0.jsonl",
        f"{ADDRESS}@{COMMIT}/data/part-[0].json*",
        f"hf://{REPOSITORY}/data/part-0.jsonl",
        f"{hub.cdn}/web/data/part-0.jsonl",
    ]):  # fmt: skip
        assert prepared(tmp_path, f"remote-{number}", address) == first, address


def test_the_token_goes_to_the_hub_alone(tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the host that it redirects to, nor a file, a message or the JSON has it."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.token, hub.files = TOKEN, corpus("small groups")
    done = run_oomguard("prepare", f"{ADDRESS}/data", "--out", "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(one.headers.get("Authorization") == f"Bearer {TOKEN}" for one in hub.asked if one.server == "hub")
    others = [one for one in hub.asked if one.server != "hub"]
    assert others
    assert not any("Authorization" in one.headers for one in others)
    for text in (
        done.stdout,
        done.stderr,
        *(path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()),
    ):
        assert TOKEN not in text
        assert SIGNATURE not in text


def test_how_far_it_is_in_a_file(tmp_path: Path, hub: HubServer) -> None:
    """While the server lets it wait in the middle, the display says how much of the file was read."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in documents(4000))
    hub.files = {"data/a.jsonl": lines.encode()}
    hub.faults = [
        Fault("/lfs/", cut=len(lines) // 2 + (1 << 20)),
        Fault("/resolve/", skip=1, status=503, headers={"Retry-After": "4"}),
    ]
    done = run_oomguard("prepare", f"{ADDRESS}/data", "--out", "out", "--progress", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = [
        json.loads(line)
        for line in done.stderr.splitlines()
        if line.startswith('{"schema": "oomguard.prepare_progress')
    ]
    assert any(len(lines) / 4 < one["bytes_read"] < len(lines.encode()) for one in told)


def test_the_commands_of_the_page(tmp_path: Path, hub: HubServer) -> None:
    """Each of docs/hub.md that asks the Hub, with the name of the dataset that is here."""
    hub.files = {f"sample/10BT/{number:03}_00000.parquet": parquet(documents(300, number)) for number in range(2)}
    page = (Path(__file__).parents[3] / "docs/hub.md").read_text(encoding="utf-8")
    commands = [line for line in page.splitlines() if line.startswith("oomguard ")]
    assert len(commands) == 3
    for command in commands:
        name, *arguments = shlex.split(command.replace("HuggingFaceFW/fineweb-edu", REPOSITORY))
        done = run_oomguard(*arguments, cwd=tmp_path)
        assert name == "oomguard"
        assert done.returncode == 0, done.stderr
    assert sums_of(tmp_path / "another") == sums_of(tmp_path / "fineweb-edu")


@pytest.mark.parametrize("kind", some_of(KINDS, one_in=2))
def test_plan_reads_a_sample(tmp_path: Path, hub: HubServer, kind: str) -> None:
    """By few short requests; what prepare counts is in its band."""
    hub.files = corpus(kind)
    told = run_oomguard("plan", f"{ADDRESS}/data", "--json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    plan = json.loads(told.stdout)
    assert len(hub.requests("/lfs/")) <= 40
    done = run_oomguard("prepare", f"{ADDRESS}/data", "--out", "out", "--json", cwd=tmp_path)
    assert plan["tokens"]["low"] <= json.loads(done.stdout)["tokens"] <= plan["tokens"]["high"]
    assert plan["tokens"]["high"] - plan["tokens"]["low"] < plan["tokens"]["value"] * 0.4
    assert plan["servers"]["requests"] == 2 * 3
    assert plan["cluster"] is None


def test_plan_for_a_cluster(tmp_path: Path, hub: HubServer) -> None:
    hub.files = corpus("jsonl")
    told = run_oomguard(
        "plan", f"{ADDRESS}/data", "--cluster", "ray", "--nodes", "10", "--max-rss", "512M", cwd=tmp_path
    )
    assert told.returncode == 0, told.stderr
    screen = " ".join(told.stdout.split())
    assert "10 (ray)" in screen
    assert "about 2, of 256 MiB of text at most" in screen
    assert "to encode" in screen
    assert "at most 12 for 2 files" in screen  # 2 for each of them, its 64 MiB, and three for its unit
    assert "3,000 without an account, 5,000 with a free one" in screen
    assert f"oomguard prepare {ADDRESS}/data --out tokens --workers 1 --cluster ray --max-rss 512M" in screen


def test_check_looks_at_a_server(tmp_path: Path, hub: HubServer) -> None:
    hub.files = corpus("jsonl")
    (tmp_path / "script.py").write_text("print(1)\n")
    done = run_oomguard("check", "script.py", "--input", f"{ADDRESS}/data", cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_dry_run_says_the_sizes(tmp_path: Path, hub: HubServer) -> None:
    hub.files = corpus("jsonl")
    told = run_oomguard("prepare", f"{ADDRESS}/data", "--dry-run", "--json", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert [one["size"] for one in json.loads(told.stdout)["inputs"]] == [
        len(hub.files[f"data/part-{number}.jsonl"]) for number in (0, 1)
    ]


def test_more_files_are_added_behind_those_of_a_server(tmp_path: Path, hub: HubServer) -> None:
    """--extend takes those that it has as they are, also where they are named again."""
    hub.files = corpus("jsonl")
    both = prepared(tmp_path, "both", f"{ADDRESS}/data")
    prepared(tmp_path, "out", f"{ADDRESS}/data/part-0.jsonl")
    assert prepared(tmp_path, "out", f"{ADDRESS}/data", "--extend") == both


GIANT = """
import json, sys
from oomguard.preparation.engines.allocators import settle_allocators
settle_allocators()
from oomguard.preparation.reading.parquet_stream import iter_parquet
from oomguard.preparation.reading.pieces import ReadOptions
from oomguard.preparation.reading.source import Source
from oomguard.preparation.remote.hub import find_on_hub

def anonymous():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))

(entry,) = find_on_hub(sys.argv[1], [])
source = Source(path=entry.address, kind="parquet", compression=None, size=entry.size, mtime_ns=None, pin=entry.pin)
seen = []
for piece in iter_parquet(source, options=ReadOptions(family="gpt2"), resume=None, reserve=lambda *_: None):
    seen.append(anonymous())
print(json.dumps(seen))
"""


@pytest.mark.parametrize("dictionary", [False, True])
def test_a_giant_row_group_takes_no_more_memory_than_a_part_of_it(hub: HubServer, dictionary: bool) -> None:
    """What the reader holds after the first quarter of 24 MB is all that it holds."""
    letters = random.Random(3).randbytes(12_000_000).hex()
    texts = [letters[at : at + 3000] for at in range(0, len(letters), 3000)]
    hub.files = {"a.parquet": parquet(texts, row_group_size=1 << 30, compression="none", use_dictionary=dictionary)}
    done = subprocess.run(
        [sys.executable, "-c", GIANT, f"{ADDRESS}/a.parquet"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert len(seen) >= 20
    assert max(seen) - max(seen[: len(seen) // 4]) < 8 * 1024  # KiB


def test_the_least_budget_is_enough(tmp_path: Path, hub: HubServer) -> None:
    """The one that a refusal names, with one row group of 10 MB."""
    letters = random.Random(3).randbytes(5_000_000).hex()
    texts = [letters[at : at + 3000] for at in range(0, len(letters), 3000)]
    hub.files = {"data/a.parquet": parquet(texts, row_group_size=1 << 30)}
    expected = sums_on_disk(hub.files)
    command = ("prepare", f"{ADDRESS}/data", "--out", "remote", "--workers", "1", "--max-rss")
    refused = run_oomguard(*command, "64M", cwd=tmp_path)
    least = re.search(r"--max-rss ([0-9]+M) or more", refused.stderr)
    assert least is not None, refused.stderr
    done = run_oomguard(*command, least[1], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sums_of(tmp_path / "remote") == expected
