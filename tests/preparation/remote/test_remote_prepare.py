"""`prepare` of files on a server gives the shards of the same files on disk, with few requests and no secret told."""

import hashlib
import importlib
import io
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.preparation.disturbing import bytes_written, sums_of
from tests.preparation.remote.conftest import TOKEN
from tests.preparation.remote.hub_server import COMMIT, REPOSITORY, SIGNATURE, Fault, HubServer
from tests.properties import some_of
from tests.running import children_of, kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs

zstd: Any = importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
ADDRESS = f"hf://datasets/{REPOSITORY}"


@cache
def documents(count: int, seed: int = 1) -> list[str]:
    chance = random.Random(seed)
    words = ["".join(chance.choices("aeiourstlnmdghé字", k=chance.randrange(1, 9))) for _ in range(5000)]
    return [" ".join(chance.choices(words, k=chance.choice([5, 50, 400]))) for _ in range(count)]


def parquet(texts: list[str], **options: Any) -> bytes:
    file = io.BytesIO()
    table = pa.table({"id": [str(number) for number in range(len(texts))], "text": texts, "score": [0.5] * len(texts)})
    pq.write_table(table, file, **options)
    return file.getvalue()


def corpus(kind: str) -> dict[str, bytes]:
    """Two files, so that the order matters, and one that is no corpus."""
    made = {"README.md": b"# a dataset\n"}
    for number, texts in enumerate((documents(700, 1), documents(300, 2))):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
        made |= {
            "small groups": {f"data/part-{number}.parquet": parquet(texts, row_group_size=90)},
            "one group": {f"data/part-{number}.parquet": parquet(texts, data_page_size=20_000, use_dictionary=False)},
            "jsonl.zst": {f"data/part-{number}.jsonl.zst": zstd.compress(lines)},
            "jsonl": {f"data/part-{number}.jsonl": lines},
            "text": {f"data/part-{number}.txt": "\n".join(texts).encode()},
        }[kind]
    return made


def on_disk(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def prepared(folder: Path, out: str, *arguments: str) -> dict[str, str]:
    done = run_oomguard("prepare", *arguments, "--out", out, "--workers", "2", cwd=folder)
    assert done.returncode == 0, done.stderr
    return sums_of(folder / out)


_known: dict[str, dict[str, str]] = {}


def sums_on_disk(files: dict[str, bytes], *arguments: str) -> dict[str, str]:
    """What prepare makes of these files on disk, as often as it is asked for: one run."""
    key = hashlib.sha256(repr((sorted(files.items()), arguments)).encode()).hexdigest()
    if key not in _known:
        with tempfile.TemporaryDirectory() as folder:
            on_disk(Path(folder, "disk"), files)
            _known[key] = prepared(Path(folder), "local", f"{folder}/disk/data", *arguments)
    return dict(_known[key])


KINDS = ["small groups", "one group", "jsonl.zst", "jsonl", "text"]


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


@pytest.mark.parametrize(
    ("fault", "said", "do"),
    [
        (Fault("/resolve/", status=403, headers={"X-Error-Code": "GatedRepo"}), "gated", "ask for it on"),
        (Fault("/resolve/", status=401), "may not be read", "hf auth login"),
        (Fault("/resolve/", status=404), "is not there", "check the name"),
        (Fault("/lfs/", status=416), "not the same file as when the run began", "--restart"),
        (Fault("/resolve/", status=302, headers={"Location": "LOOP"}, times=99), "more than 10 redirects", "check"),
    ],
)
def test_a_failure_names_the_object_and_the_same_command_resumes(
    tmp_path: Path, hub: HubServer, fault: Fault, said: str, do: str
) -> None:
    """What was done is kept; once the server gives the file the shards are those of an undisturbed run."""
    hub.files = corpus("jsonl")
    expected = sums_on_disk(hub.files)
    fault.match += ".*part-1"
    fault.headers = {name: f"{hub.hub}/datasets/{REPOSITORY}/resolve/{COMMIT}/data/part-1.jsonl" if value == "LOOP" else value
                     for name, value in fault.headers.items()}  # fmt: skip
    hub.faults = [fault]
    failed = run_oomguard("prepare", f"{ADDRESS}/data", "--out", "out", cwd=tmp_path)
    assert failed.returncode == 1
    assert f"{ADDRESS}@{COMMIT}/data/part-1.jsonl" in failed.stderr.replace("\n", "")
    assert said in " ".join(failed.stderr.split())
    assert do in failed.stderr
    assert "Traceback" not in failed.stderr
    hub.faults = []
    before = len(hub.requests("/resolve/.*part-0"))
    assert prepared(tmp_path, "out", f"{ADDRESS}/data") == expected
    assert len(hub.requests("/resolve/.*part-0")) == before  # it was not read again


@pytest.mark.parametrize(
    ("address", "fault", "said"),
    [
        ("hf://datasets/tester/none", None, "there is no such dataset"),
        (f"{ADDRESS}@v9/data", None, "no such revision"),
        (f"{ADDRESS}/nothing/here.jsonl", None, "names nothing that is read"),
        (f"{ADDRESS}/data", Fault("^/api/", status=403), "may not be read"),
        (f"{ADDRESS}/data", Fault("^/api/", status=200), "is not the Hub's API"),
        ("hf://datasets/tester", None, "names no dataset"),
        ("s3a://bucket/part-0.jsonl", None, "oomguard prepare s3://bucket/part-0.jsonl"),
        ("ftp://host/part-0.jsonl", None, "curl -L ftp://host/part-0.jsonl | oomguard prepare -"),
        ("CDN/web/none.txt", None, "is not there"),
        ("http://user:word@127.0.0.1:1/a.txt", None, "may hold a secret"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_before_anything_is_written(
    tmp_path: Path, hub: HubServer, address: str, fault: Fault | None, said: str
) -> None:
    hub.files = corpus("jsonl")
    hub.faults = [fault] if fault else []
    failed = run_oomguard("prepare", address.replace("CDN", hub.cdn), "--out", "out", cwd=tmp_path)
    assert failed.returncode == 1
    assert said in " ".join(failed.stderr.split())
    assert "Traceback" not in failed.stderr
    assert "word" not in failed.stderr.replace("password", "")
    assert not list(tmp_path.glob("out/*"))


def test_faults_that_pass_are_not_seen(tmp_path: Path, hub: HubServer) -> None:
    """429 with what to wait, 503, and a connection that is cut in the middle: the same shards, a few requests more."""
    hub.files = corpus("jsonl.zst")
    expected = sums_on_disk(hub.files)
    hub.faults = [
        Fault("^/api/", status=429, headers={"Retry-After": "0"}),
        Fault("/resolve/", status=429, headers={"RateLimit": '"resolvers";r=0;t=0'}),
        Fault("/lfs/.*part-0", cut=100_000),
        Fault("/lfs/.*part-1", status=503, headers={"Retry-After": "0"}),
    ]
    assert prepared(tmp_path, "remote", f"{ADDRESS}/data") == expected
    assert not any(fault.times for fault in hub.faults)
    ranges = [one.headers["Range"] for one in hub.requests("/lfs/.*part-0")]
    assert [one.split("=")[1].split("-")[0] for one in ranges] == ["0", "100000"]  # nothing is asked for twice


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped_while_it_lists(tmp_path: Path, hub: HubServer, number: signal.Signals) -> None:
    """Of a server that does not answer; nothing of ours is left, and no traceback shown."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/a.txt"
        with started("prepare", address, "--out", "out", cwd=tmp_path) as process:
            asked, _ = silent.accept()
            helpers = children_of(process)
            os.killpg(process.pid, number)
            _, said = process.communicate(timeout=30)
            asked.close()
    assert process.returncode == 128 + number
    assert "Traceback" not in said
    assert not psutil.wait_procs(helpers, timeout=30)[1]


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


def test_a_file_that_changes_is_refused_by_name(tmp_path: Path, hub: HubServer) -> None:
    """Of https:// its ETag is another one when the run resumes; a plain server has no versions to go back to."""
    hub.files = corpus("jsonl")
    hub.faults = [Fault("/web/.*part-1", status=410, skip=1)]
    inputs = [f"{hub.cdn}/web/data/part-{number}.jsonl" for number in (0, 1)]
    assert run_oomguard("prepare", *inputs, "--out", "out", cwd=tmp_path).returncode == 1
    hub.etags["data/part-0.jsonl"] = "another"
    failed = run_oomguard("prepare", *inputs, "--out", "out", cwd=tmp_path)
    assert failed.returncode == 1
    assert "part-0.jsonl" in failed.stderr
    assert "--restart" in failed.stderr
    assert "Traceback" not in failed.stderr


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


def test_a_damaged_file_and_an_unreachable_one(tmp_path: Path, hub: HubServer) -> None:
    """--bad-files skip leaves a damaged file, but not one that a server does not give: nothing is known of that."""
    hub.files = corpus("jsonl.zst")
    damaged = bytearray(hub.files["data/part-0.jsonl.zst"])
    damaged[len(damaged) // 2 :] = b"\xff" * (len(damaged) - len(damaged) // 2)
    hub.files["data/part-0.jsonl.zst"] = bytes(damaged)
    command = ("prepare", f"{ADDRESS}/data", "--bad-files", "skip", "--json")
    done = run_oomguard(*command, "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "part-0" in done.stderr
    hub.faults = [Fault("/resolve/.*part-1", status=401)]
    assert run_oomguard(*command, "--out", "other", cwd=tmp_path).returncode == 1


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


@pytest.fixture
def feature(hub: HubServer, tmp_path: Path) -> Callable[[str], tuple[dict[str, str], tuple[str, ...]]]:
    """What an undisturbed run gives, and the command."""

    def make(kind: str) -> tuple[dict[str, str], tuple[str, ...]]:
        hub.files = corpus(kind)
        return sums_on_disk(hub.files), ("prepare", f"{ADDRESS}/data", "--out", "out")

    return make


def is_reached(process: subprocess.Popen[str], reached: Callable[[int], bool], out: Path) -> bool:
    return process.poll() is not None or reached(bytes_written(out) if out.exists() else 0)


@pytest.mark.parametrize("kind", ["small groups", "jsonl.zst", "text"])
def test_killed_again_and_again(tmp_path: Path, hub: HubServer, feature: Any, kind: str) -> None:
    """SIGKILL of everything: while it lists, with the first bytes, in the first file, in the second, near the end."""
    expected, command = feature(kind)
    moments: list[Callable[[int], bool]] = [
        lambda size: bool(hub.requests("^/api/")),
        lambda size: bool(hub.requests("/lfs/")),
        lambda size: size > 0,
        lambda size: size > 100_000,
        lambda size: bool(hub.requests("/lfs/.*part-1")),
        lambda size: size > 300_000,
    ]
    out, killed = tmp_path / "out", 0
    for reached in moments:
        with started(*command, "--workers", "1", cwd=tmp_path, piece_bytes=1 << 15, checkpoint_seconds=0.01) as process:
            wait_until(partial(is_reached, process, reached, out))
            killed += process.poll() is None
            kill_all(process)
    assert killed >= 2  # the other moments may have come after the end
    assert prepared(tmp_path, "out", f"{ADDRESS}/data") == expected


@pytest.mark.parametrize(
    ("address", "more", "said", "do"),
    [
        (
            "gs://bucket/tokens",
            [],
            "shards are written to a file system",
            "gcloud storage cp FOLDER/* gs://bucket/tokens",
        ),
        ("gs://bucket/tokens", ["--job-only"], "shards are written to a file system", "gcloud storage cp"),
        ("s3://bucket/tokens", [], "a run writes to a file system", "--job-only, then oomguard prepare --job job.json"),
        ("s3://bucket/tokens", ["--dry-run"], "a run writes", "aws s3 cp FOLDER s3://bucket/tokens --recursive"),
    ],
)
def test_shards_of_a_run_are_not_written_to_a_server(
    tmp_path: Path, address: str, more: list[str], said: str, do: str
) -> None:
    """Path makes one slash of two, and no folder "s3:" comes of that."""
    (tmp_path / "a.txt").write_text("text")
    failed = run_oomguard("prepare", "a.txt", "--out", address, *more, cwd=tmp_path)
    assert failed.returncode == 1
    assert f"--out {address}: {said}" in " ".join(failed.stderr.split())
    assert do in " ".join(failed.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
