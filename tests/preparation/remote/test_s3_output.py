"""A job whose shards go to a bucket: the bytes are those of a folder, and what is there is never half written."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from oomguard.errors import BadInput, InUse, NothingFound, OomguardError
from oomguard.preparation.api import prepare
from oomguard.preparation.cluster.api import Share, finish, finish_share, plan_to, read_job, work
from oomguard.preparation.cluster.job_place import claim_of
from oomguard.preparation.cluster.s3_place import S3Claim, S3Place
from oomguard.preparation.cluster.unit_work import do_unit
from oomguard.preparation.options import PrepareOptions
from tests.preparation.cluster.test_job import files
from tests.preparation.remote.conftest import KEY, SESSION
from tests.preparation.remote.corpora import corpus, on_disk
from tests.preparation.remote.hub_server import Fault
from tests.preparation.remote.s3_server import BUCKET, SECRET, S3Server
from tests.running import run_oomguard

if TYPE_CHECKING:
    from oomguard.preparation.cluster.job_file import JobFile


OUT = f"s3://{BUCKET}/tokens/run"
UNIT = 150_000
CASES: list[dict[str, Any]] = [
    {"format": "npy", "shard_tokens": 50_000},
    {"format": "nanogpt", "val_fraction": "0.1", "separator": "\\n"},
    {"format": "llmc", "shard_tokens": 50_000},
    {"format": "megatron", "val_fraction": "0.1"},
    {"format": "datatrove", "val_fraction": "0.1", "shard_tokens": 60_000},
    {"format": "mds", "shard_tokens": 61_440, "val_fraction": "0.2"},
    {"format": "npy", "shard_tokens": 50_000, "last_shard": "fold"},
]


def made(folder: Path, kind: str = "jsonl", **more: Any) -> tuple[dict[str, bytes], JobFile]:
    """What one machine makes in a folder, and the same planned for the bucket."""
    disk = on_disk(folder / "disk", corpus(kind))
    inputs = (str(disk / "data"),)
    prepare(PrepareOptions(inputs=inputs, out=folder / "alone", **more))
    out = Path(OUT)
    plan_to(folder / "job.json", PrepareOptions(inputs=inputs, out=out, **more), unit_bytes=UNIT)
    return files(folder / "alone"), read_job(folder / "job.json")


def shards(s3: S3Server) -> dict[str, bytes]:
    """What is in the bucket, but for what the job has to itself."""
    start = "tokens/run/"
    there = {key.removeprefix(start): data for key, data in s3.objects(start).items()}
    return {key: data for key, data in there.items() if not key.startswith(".oomguard/")}


def own(s3: S3Server) -> set[str]:
    start = "tokens/run/.oomguard/"
    return {key.removeprefix(start) for key in s3.objects(start)}


@pytest.mark.slow
@pytest.mark.parametrize("more", CASES, ids=lambda more: more["format"] + ("-fold" if "last_shard" in more else ""))
def test_the_shards_are_those_of_a_folder(tmp_path: Path, s3: S3Server, more: dict[str, Any]) -> None:
    """Two workers, shards by two machines, then the manifest; what they were made of is gone, and is nowhere here."""
    alone, job = made(tmp_path, "text" if "separator" in more else "jsonl", **more)
    work(tmp_path / "job.json", None, Share(0, 2), workers=1)
    assert not shards(s3)
    for part in (0, 1):
        finish_share(job, part, 2)
    result = finish(job)
    assert shards(s3) == alone
    assert (result.folder, result.already_done) == (OUT, False)
    assert own(s3) == {"manifest.jsonl", "parts/finished", "parts/job"}
    again = finish(job)
    assert (again.tokens, again.already_done, again.folder) == (result.tokens, True, OUT)
    local = files(tmp_path / "alone")
    manifest = s3.objects("tokens/run/.oomguard/manifest")["tokens/run/.oomguard/manifest.jsonl"].decode()
    told = {one["path"]: one["sha256"] for one in json.loads(manifest.splitlines()[-1])["result"]["shards"]}
    assert told.keys() <= local.keys()
    assert not re.search(re.escape(SECRET) + "|" + KEY + "|" + SESSION, (tmp_path / "job.json").read_text() + manifest)


@pytest.mark.slow
def test_the_command_line(tmp_path: Path, s3: S3Server) -> None:
    """As people type it; a plain run names the lines, which work, and no secret is on any screen."""
    disk = on_disk(tmp_path / "disk", corpus("jsonl"))
    more = ("--format", "npy", "--shard-tokens", "50000")
    refused = run_oomguard("prepare", str(disk / "data"), "--out", OUT, *more, cwd=tmp_path)
    assert refused.returncode == 1
    assert "--job-only" in refused.stderr
    plan = run_oomguard(
        "prepare", str(disk / "data"), "--out", OUT, *more, "--job-only", "--unit-size", "150K", cwd=tmp_path
    )
    assert plan.returncode == 0, plan.stderr
    said = [plan.stdout + plan.stderr]
    for line in re.findall(r"oomguard (?:work|finish) [^\n]+", plan.stdout):
        done = run_oomguard(*shlex.split(line)[1:], "--max-rss", "256M", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout + done.stderr)
    run_oomguard("prepare", str(disk / "data"), "--out", "alone", *more, cwd=tmp_path)
    assert shards(s3) == files(tmp_path / "alone")
    assert f'aws s3 cp --recursive {OUT} FOLDER --exclude ".oomguard/*"' in said[-1]
    for number in ("0", None):
        after = run_oomguard("work", "job.json", *(("--unit", number) if number else ()), cwd=tmp_path)
        assert (after.returncode, after.stdout) == (0, "")
        assert "the job is finished" in after.stderr
    assert shards(s3) == files(tmp_path / "alone")
    assert not re.search(re.escape(SECRET) + "|" + KEY + "|" + SESSION, "".join(said))


@pytest.mark.slow
def test_a_job_that_is_itself_in_the_bucket(tmp_path: Path, s3: S3Server) -> None:
    """Machines that share no file system need nothing but the address."""
    disk = on_disk(tmp_path / "disk", corpus("jsonl"))
    job = f"{OUT}/.oomguard/job.json"
    for words in (
        ("prepare", str(disk / "data"), "--out", OUT, "--unit-size", "150K", "--job-only", "--job-file", job),
        ("work", job),
        ("finish", job),
    ):
        done = run_oomguard(*words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    prepare(PrepareOptions(inputs=(str(disk / "data"),), out=tmp_path / "alone"))
    assert shards(s3) == files(tmp_path / "alone")
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "alone"}


@pytest.mark.slow
def test_one_machine_does_all_of_it(tmp_path: Path, s3: S3Server) -> None:
    """The line that a plain run names; the bucket itself may be the place, and names may need quoting."""
    disk = on_disk(tmp_path / "disk", corpus("jsonl"))
    prepare(PrepareOptions(inputs=(str(disk / "data"),), out=tmp_path / "alone"))
    for number, prefix in enumerate(("", "/a b+c/ü%20")):
        words = ("--out", f"s3://{BUCKET}{prefix}", "--job-only", "--job-file", f"{number}.json")
        for line in (("prepare", str(disk / "data"), *words), ("prepare", "--job", f"{number}.json")):
            done = run_oomguard(*line, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        start = f"{prefix}/".removeprefix("/")
        there = {key.removeprefix(start): data for key, data in s3.objects(start).items()}
        assert {key: data for key, data in there.items() if ".oomguard/" not in key} == files(tmp_path / "alone")
        for key in s3.objects():
            s3.remove(quote(key))


def test_an_output_that_names_no_bucket(tmp_path: Path, s3: S3Server) -> None:
    (tmp_path / "a.txt").write_text("some text\n" * 20)
    for out, said in (
        ("s3://", "names no bucket"),
        ("s3://x", "cannot be the name"),
        ("s3://none-such/t", "no such bucket"),
        (f"s3://{BUCKET}/a/../t", "stand for another object"),
    ):
        with pytest.raises(OomguardError, match=said):
            plan_to(tmp_path / "job.json", PrepareOptions(inputs=(str(tmp_path / "a.txt"),), out=Path(out)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.slow
def test_what_slurm_is_told(tmp_path: Path, s3: S3Server) -> None:
    """The job is planned into the bucket, once, and named by its address; the commands of the array work anywhere."""
    disk = on_disk(tmp_path / "disk", corpus("jsonl"))
    words = ("prepare", str(disk / "data"), "--out", OUT, "--unit-size", "150K", "--print-sbatch", "--max-rss", "512M")
    shown = run_oomguard(*words, cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert run_oomguard(*words, cwd=tmp_path).stdout == shown.stdout
    assert "tokens/run/.oomguard/job.json" in s3.objects("tokens")
    wrapped = re.findall(r"-m oomguard ((?:work|finish) [^'\"]+)", shown.stdout)
    assert [each.split()[1] for each in wrapped] == [f"{OUT}/.oomguard/job.json"] * 2
    for each in wrapped:
        done = run_oomguard(*re.sub(r" --share.*", "", each).split(), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    prepare(PrepareOptions(inputs=(str(disk / "data"),), out=tmp_path / "alone"))
    assert shards(s3) == files(tmp_path / "alone")
    other = run_oomguard(*words, "--format", "npy", cwd=tmp_path)
    assert other.returncode == 1
    assert f"{OUT}/.oomguard/job.json" in " ".join(other.stderr.split())


@pytest.mark.slow
def test_two_workers_that_race_for_one_unit(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both encode it; the first to commit counts, and the other learns that it was done already."""
    alone, job = made(tmp_path, format="npy", shard_tokens=50_000)
    real = S3Place.commit
    racing: list[Any] = []

    def commit(self: S3Place, file: Path, sha256: str = "") -> bool:
        if self.name == "0000001.part" and not racing:
            racing.append(self.name)
            racing.append(do_unit(job, 1, workers=1))
        return real(self, file, sha256)

    monkeypatch.setattr(S3Place, "commit", commit)
    second = do_unit(job, 1, workers=1)
    assert (racing[1].already_done, second.already_done) == (False, True)
    puts = [one for one in s3.requests(r"0000001\.part$") if one.method == "PUT"]
    assert [one.status for one in puts] == [200, 412]
    assert all(one.headers["If-None-Match"] == "*" for one in puts)
    work(tmp_path / "job.json", None, Share(), workers=1)
    finish(job)
    assert shards(s3) == alone


@pytest.mark.slow
def test_two_machines_that_race_for_one_shard(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is taken for dead while it sends; the same bytes are there once, and neither says that anything is wrong."""
    alone, job = made(tmp_path, format="npy", shard_tokens=50_000)
    work(tmp_path / "job.json", None, Share(), workers=1)
    real = S3Place.publish
    racing: list[Any] = []

    def publish(self: S3Place, file: Path, sha256: str) -> None:
        if not racing:
            racing.append(self.name)
            for claim in job.parts.glob("*.claim"):
                claim.unlink()
            racing.append(finish_share(job, 0, 1, keep_parts=True).shards)
        real(self, file, sha256)

    monkeypatch.setattr(S3Place, "publish", publish)
    finish(job)
    assert racing[1] == len(alone)
    assert [one.status for one in s3.requests(f"{racing[0]}$") if one.method == "PUT"] == [200, 412]
    assert shards(s3) == alone


@pytest.mark.slow
def test_faults_that_pass_are_not_seen(tmp_path: Path, s3: S3Server) -> None:
    """SlowDown, an error of the server, an answer that is lost, a stream that is cut: the same shards."""
    alone, job = made(tmp_path, format="npy", shard_tokens=50_000)
    slow = b"<Error><Code>SlowDown</Code></Error>"
    at_once = {"Retry-After": "0"}
    s3.faults = [
        Fault(r"0000000\.part$", "PUT", status=503, body=slow, headers=at_once),
        Fault(r"0000000\.part$", "PUT", status=500),
        Fault(r"0000001\.part$", "PUT", status=500, is_done=True),  # it is there, and nobody has heard so
        Fault(r"0000002\.part$", "PUT", status=409, body=b"<Error><Code>ConditionalRequestConflict</Code></Error>"),
        Fault(r"0000000\.part$", "HEAD", status=503, headers=at_once),
        Fault(r"layout\.json$", "PUT", status=500, is_done=True),
        Fault(r"0000000\.part$", "GET", cut=1000, skip=2),
        Fault(r"0000001\.part$", "GET", status=503, headers=at_once, skip=1),
        Fault(r"train_000001\.npy$|_000001\.npy$", "PUT", status=500, is_done=True),
        Fault(r"manifest\.jsonl$", "PUT", status=503, headers=at_once),
        Fault(r"0000002\.part$", "DELETE", status=503, headers=at_once),
    ]
    work(tmp_path / "job.json", None, Share(), workers=1).require_success()
    finish(job)
    assert shards(s3) == alone
    assert not [fault for fault in s3.faults if fault.times]


@pytest.mark.slow
def test_what_somebody_else_put_there_stays(tmp_path: Path, s3: S3Server) -> None:
    """A name that a shard would take is known before anything is written; one that comes later, when it is sent."""
    alone, job = made(tmp_path, format="npy", shard_tokens=50_000)
    work(tmp_path / "job.json", None, Share(), workers=1)
    name = sorted(alone)[1]
    s3.put(f"tokens/run/{name}", b"mine")
    with pytest.raises(BadInput, match="not made by this run"):
        finish(job)
    assert shards(s3) == {name: b"mine"}
    with pytest.raises(BadInput, match="not made by this job"):
        finish_share(job, 0, 1)
    assert shards(s3)[name] == b"mine"
    s3.remove(f"tokens/run/{name}")
    finish(job)
    assert shards(s3) == alone


@pytest.mark.slow
def test_a_damaged_part_and_a_unit_that_is_missing_are_named(tmp_path: Path, s3: S3Server) -> None:
    alone, job = made(tmp_path, format="npy", shard_tokens=50_000)
    work(tmp_path / "job.json", None, Share(), workers=1)
    key = "tokens/run/.oomguard/parts/0000001.part"
    data = bytearray(s3.objects(key)[key])
    data[10] ^= 1
    s3.put(key, bytes(data))
    with pytest.raises(BadInput, match=r"s3://.*0000001\.part is damaged") as caught:
        finish(job)
    assert caught.value.do.startswith("aws s3 rm s3://")
    s3.remove(key)
    with pytest.raises(NothingFound, match="1 of"):
        finish(job)
    work(tmp_path / "job.json", None, Share(), workers=1)
    finish(job)
    assert shards(s3) == alone


@pytest.mark.slow
def test_kills_at_any_moment(tmp_path: Path, s3: S3Server) -> None:
    """SIGKILL while units are encoded and while shards are laid out; the same commands then go on."""
    alone, _ = made(tmp_path, format="npy", shard_tokens=50_000)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    kills = 0
    for command in ("work", "finish"):
        after = 0.3
        while True:
            run = subprocess.Popen(
                [sys.executable, "-m", "oomguard", command, "job.json"], cwd=tmp_path, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, start_new_session=True, text=True, env={**os.environ, "TMPDIR": str(scratch)},
            )  # fmt: skip
            try:
                _, said = run.communicate(timeout=after)
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)
                run.communicate()
                kills += 1
                after *= 1.5
                for left in scratch.iterdir():
                    os.utime(left, (1, 1))  # as if it were older
            else:
                assert run.returncode == 0, said
                break
    assert kills
    assert shards(s3) == alone
    assert not list(scratch.iterdir())


@pytest.mark.slow
def test_the_least_budget_that_is_named_is_enough(tmp_path: Path, s3: S3Server) -> None:
    """What sends to a bucket takes memory of its own, which is in the sum."""
    alone, _ = made(tmp_path, format="npy", shard_tokens=50_000)
    for command in ("work", "finish"):
        refused = run_oomguard(command, "job.json", "--max-rss", "40M", cwd=tmp_path)
        found = re.search(r"--max-rss (\d+M)", refused.stderr)
        assert found is not None, refused.stderr
        done = run_oomguard(command, "job.json", "--max-rss", found[1], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert shards(s3) == alone


@pytest.mark.slow
def test_a_finish_that_waits_for_others_keeps_its_claim(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have all shards in hand, for longer than a claim lasts that nobody touches."""
    alone, job = made(tmp_path, format="npy", shard_tokens=1 << 20)
    work(tmp_path / "job.json", None, Share(), workers=1)
    of_others = [
        claim_of(job.parts / f"{split}-00000{number}.claim") for split in ("val", "train") for number in (0, 1)
    ]
    assert all(claim.take() for claim in of_others)
    kept: list[S3Claim] = []
    pauses = iter(range(20))

    def pause(_: float) -> None:
        assert next(pauses, None) is not None, "it is not kept"
        if kept:
            for claim in of_others:
                claim.give_up()

    monkeypatch.setattr(S3Claim, "keep", lambda claim: kept.append(claim))
    monkeypatch.setattr(time, "sleep", pause)
    finish(job)
    assert kept
    assert shards(s3) == alone


@pytest.mark.slow
def test_two_finish_at_once_is_said(tmp_path: Path, s3: S3Server) -> None:
    alone, job = made(tmp_path, format="npy", shard_tokens=50_000)
    work(tmp_path / "job.json", None, Share(), workers=1)
    claim = claim_of(job.parts / "finish.claim")
    assert claim.take()
    with pytest.raises(InUse, match="another oomguard finish"):
        finish(job)
    claim.give_up()
    finish(job)
    assert shards(s3) == alone
