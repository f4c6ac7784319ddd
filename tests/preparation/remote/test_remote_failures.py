"""`prepare` of files on a server that fails, changes or is not there, and of a run that is stopped or killed."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.preparation.disturbing import bytes_written
from tests.preparation.remote.corpora import ADDRESS, corpus, prepared, sums_on_disk
from tests.preparation.remote.hub_server import COMMIT, REPOSITORY, Fault, HubServer
from tests.running import children_of, kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs


@pytest.mark.parametrize(
    ("fault", "said", "do"),
    [
        (Fault("/resolve/", status=403, headers={"X-Error-Code": "GatedRepo"}), "gated", "request access on"),
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
        (f"{ADDRESS}/nothing/here.jsonl", None, "matches no file that is read"),
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
