"""`prepare s3://` gives the shards of the same files on disk; against moto's S3, behind a proxy with faults."""

import json
import re
import shlex
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from oomguard.errors import OomguardError, Unreachable
from oomguard.preparation.remote import listing
from oomguard.preparation.remote.remote_file import RemoteFile
from tests.preparation.disturbing import sums_of
from tests.preparation.remote.conftest import KEY, SESSION
from tests.preparation.remote.corpora import KINDS, corpus, on_disk, prepared
from tests.preparation.remote.hub_server import Fault, HandlerOfFaults
from tests.preparation.remote.s3_server import BUCKET, SECRET, S3Server
from tests.running import run_oomguard, started

ADDRESS = f"s3://{BUCKET}"
OBJECT = f"^/{BUCKET}/data/"  # a request for the bytes of one, and not for the list


def stored(s3: S3Server, folder: Path, kind: str) -> Path:
    """The same corpus in the bucket and on disk."""
    files = corpus(kind)
    for name, data in files.items():
        s3.put(name, data)
    return on_disk(folder, files)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_shards_as_files_on_disk(tmp_path: Path, s3: S3Server, kind: str) -> None:
    """Listed once, pinned by ETag, at most two requests a file, signed, and nothing of the secret in any file."""
    folder = stored(s3, tmp_path / "disk", kind)
    expected = prepared(tmp_path, "local", str(folder / "data"))
    assert prepared(tmp_path, "remote", f"{ADDRESS}/data") == expected
    assert len(s3.requests(OBJECT)) <= 2 * 2
    assert len(s3.requests(rf"^/{BUCKET}/\?")) == 2  # whether it is an object, and what is below the folder
    assert all(
        KEY in one.headers["Authorization"] and one.headers["X-Amz-Security-Token"] == SESSION for one in s3.asked
    )
    assert all(one.headers["If-Match"].startswith('"') for one in s3.requests(OBJECT))
    for file in (tmp_path / "remote").rglob("*"):
        if file.is_file():
            assert not re.search(re.escape(SECRET) + "|" + KEY + "|" + SESSION, file.read_bytes().decode("latin-1"))
    assert f"{ADDRESS}/data/part-0." in (tmp_path / "remote/.oomguard/manifest.jsonl").read_text()


@pytest.mark.slow
def test_faults_that_pass_are_not_seen(tmp_path: Path, s3: S3Server) -> None:
    """SlowDown, 429, an error of the server and connections that are cut, also in the list: the same shards."""
    folder = stored(s3, tmp_path / "disk", "jsonl.zst")
    expected = prepared(tmp_path, "local", str(folder / "data"))
    s3.faults = [
        Fault(rf"^/{BUCKET}/$", status=503, body=b"<Error><Code>SlowDown</Code></Error>"),
        Fault(rf"^/{BUCKET}/$", cut=200),
        Fault(f"{OBJECT}part-0", status=429, headers={"Retry-After": "0"}),
        Fault(f"{OBJECT}part-0", cut=100_000),
        Fault(
            f"{OBJECT}part-1", status=503, headers={"Retry-After": "0"}, body=b"<Error><Code>SlowDown</Code></Error>"
        ),
        Fault(f"{OBJECT}part-1", status=500),
    ]
    assert prepared(tmp_path, "remote", f"{ADDRESS}/data") == expected
    assert not any(fault.times for fault in s3.faults)
    ranges = [one.headers["Range"] for one in s3.requests(f"{OBJECT}part-0")]
    assert [one.split("=")[1].split("-")[0] for one in ranges][-1] == "100000"  # nothing is read twice


@pytest.mark.slow
def test_an_object_that_changes_is_refused_by_name(tmp_path: Path, s3: S3Server) -> None:
    """While the run reads it (S3 answers 412), and between two runs; what was done is kept."""
    folder = stored(s3, tmp_path / "disk", "jsonl")
    inputs = [f"{ADDRESS}/data/part-{number}.jsonl" for number in (0, 1)]
    s3.faults = [Fault(f"{OBJECT}part-1", status=412, body=b"<Error><Code>PreconditionFailed</Code></Error>")]
    failed = run_oomguard("prepare", *inputs, "--out", "out", cwd=tmp_path)
    assert failed.returncode == 1
    assert f"{inputs[1]} is not the same file as when the run began" in " ".join(failed.stderr.split())
    before = (folder / "data/part-1.jsonl").read_bytes()
    s3.put("data/part-1.jsonl", before.replace(b"a", b"b"))
    s3.put("data/part-0.jsonl", before)
    failed = run_oomguard("prepare", *inputs, "--out", "out", cwd=tmp_path)
    assert failed.returncode == 1
    assert "part-0.jsonl" in failed.stderr
    assert "--restart" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_what_an_address_names(s3: S3Server) -> None:
    for key in ("a/1.txt", "a/b/2.txt", "a/b/10.jsonl", "a/.hidden/3.txt", "a/b", "a.txt", "a%20b/c d+é.txt"):
        s3.put(key.replace("%", "%25").replace(" ", "%20").replace("é", "%C3%A9"), b"text")

    def found(path: str) -> list[str]:
        return [one.address.removeprefix(f"{ADDRESS}/") for one in listing.find(f"{ADDRESS}/{path}", [], None)]

    assert found("a/") == ["a/1.txt", "a/b", "a/b/10.jsonl", "a/b/2.txt"]
    assert found("a/b") == ["a/b"]  # an object may be called as a folder is
    assert found("a/b/") == ["a/b/10.jsonl", "a/b/2.txt"]
    assert found("a/*/*.txt") == ["a/b/2.txt"]
    assert found("**/*.txt") == ["a%20b/c d+é.txt", "a.txt", "a/1.txt", "a/b/2.txt"]
    assert found("a%20b/c d+é.txt") == ["a%20b/c d+é.txt"]
    assert found("none") == []
    (entry,) = listing.find(f"{ADDRESS}/a.txt", [], None)
    assert (entry.size, entry.named, len(entry.pin)) == (4, True, 34)  # the MD5 in quotes
    (entry,) = listing.find(f"{ADDRESS}/a%20b/c d+é.txt", [], None)
    with closing(RemoteFile(entry.address, entry.size, entry.pin)) as file:
        assert file.read() == b"text"


def test_a_list_of_many_pages(s3: S3Server) -> None:
    for number in range(12):
        s3.put(f"many/{number:03}.txt", b"text")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("oomguard.preparation.remote.s3._PAGE", 5)
        assert len(list(listing.find(f"{ADDRESS}/many/", [], None))) == 12
    assert len(s3.requests("list-type=2")) == 3


@pytest.mark.parametrize(
    ("address", "fault", "said", "do"),
    [
        (f"{ADDRESS}/data/a.txt", Fault("^/", status=403, body=b"<Code>AccessDenied</Code>", times=9), "may not be read", "s3:GetObject"),
        (f"{ADDRESS}/data/*", Fault("^/", status=400, body=b"<Code>ExpiredToken</Code>"), "have expired", "aws sso login"),
        (f"{ADDRESS}/data/*", Fault("^/", status=403, body=b"<Code>RequestTimeTooSkewed</Code>"), "clock", "timedatectl"),
        (f"{ADDRESS}/data/*", Fault("^/", status=200, body=b"<html>hello</html>no"), "is not one of S3's API", "AWS_ENDPOINT_URL"),
        ("s3://none-such/data/", None, "no such bucket", "aws s3 ls"),
        (f"{ADDRESS}/data/../a.txt", None, "are not read", f"aws s3 cp {ADDRESS}/data/../a.txt"),
        (f"{ADDRESS}/./data/*", None, "are not read", "oomguard prepare FILE"),
        ("s3://x/data/", None, "cannot be the name of a bucket", "aws s3 ls"),
        ("s3:///data/", None, "names no bucket", "s3://BUCKET/KEY"),
    ],
)  # fmt: skip
def test_why_nothing_is_given(s3: S3Server, address: str, fault: Fault | None, said: str, do: str) -> None:
    s3.put("data/a.txt", b"text")
    s3.faults = [fault] if fault else []
    with pytest.raises(OomguardError, match=said) as caught:
        list(listing.find(address, [], None))
    assert do in caught.value.do
    assert SECRET not in f"{caught.value} {caught.value.do}"


def test_a_wrong_secret_is_said(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is looked at: each other test has a right one, also of names that have to be encoded."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(OomguardError, match="the secret key is not that of the access key"):
        list(listing.find(f"{ADDRESS}/data/*", [], None))


def test_who_may_read_and_not_list(s3: S3Server) -> None:
    s3.put("data/a.txt", b"text")
    s3.faults = [Fault(f"^/{BUCKET}/$", status=403, body=b"<Code>AccessDenied</Code>", times=9)]
    (entry,) = listing.find(f"{ADDRESS}/data/a.txt", [], None)
    assert (entry.size, entry.named) == (4, True)


def test_without_credentials_nothing_is_signed(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for data that is public."""
    s3.put("data/a.txt", b"text")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    list(listing.find(f"{ADDRESS}/data/a.txt", [], None))
    assert s3.asked
    assert not any("Authorization" in one.headers for one in s3.asked)


def own_profile(monkeypatch: pytest.MonkeyPatch, folder: Path, config: str) -> None:
    (folder / "config").write_text(config)
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    for name, value in {"AWS_CONFIG_FILE": str(folder / "config"), "AWS_PROFILE": "own"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize(
    "config",
    [
        "credential_process = /nonexistent/program\n",
        f"credential_process = echo {SECRET}\n",
        (
            "role_arn = arn:aws:iam::123456789012:role/x\nsource_profile = other\n"
            "[profile other]\naws_access_key_id = AKIA\naws_secret_access_key = key\n"
        ),
    ],
)
def test_credentials_that_cannot_be_had(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    """A program that is not there, one that prints something else, and a role that may not be taken."""
    from oomguard.preparation.remote.s3 import S3

    own_profile(monkeypatch, tmp_path, f"[profile own]\nregion = us-east-1\n{config}")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", s3.listen(Refusing, "sts"))
    with pytest.raises(Unreachable, match="the credentials for S3 cannot be obtained: [A-Za-z]+$") as caught:
        S3()
    assert caught.value.do == "aws sts get-caller-identity"


class Refusing(HandlerOfFaults):
    def do_POST(self) -> None:  # noqa: N802 - as http.server calls it
        self.note()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(403, b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>")


def test_credentials_that_cannot_be_renewed(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a run, by whatever botocore lets through."""
    from oomguard.preparation.remote.s3 import S3

    store = S3()
    monkeypatch.setattr("botocore.credentials.Credentials.get_frozen_credentials", lambda _: json.loads("no"))
    with pytest.raises(Unreachable, match="cannot be obtained: JSONDecodeError$"):
        store.sign("GET", f"{s3.url}/{BUCKET}/a.txt", {}, None)


@pytest.mark.parametrize(
    "config", ["s3 = word\n", "services = word\n", "services = mine\n[services mine]\ns3 = word\n"]
)
def test_a_word_in_place_of_a_section_says_nothing(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    from oomguard.preparation.remote.s3 import S3

    own_profile(monkeypatch, tmp_path, f"[profile own]\nregion = eu-west-3\n{config}")
    assert S3().url("s3://corpus/a", "") == "https://corpus.s3.eu-west-3.amazonaws.com/a"


def test_addresses_of_amazon(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the bucket's own host, in its region; the answer that names another region is followed there."""
    from oomguard.preparation.remote.s3 import S3

    class Answer:
        status_code = 301
        headers: ClassVar = {"x-amz-bucket-region": "eu-west-3"}

    monkeypatch.delenv("AWS_ENDPOINT_URL")
    store = S3()
    assert store.url("s3://corpus/a b/c+d", "") == "https://corpus.s3.us-east-1.amazonaws.com/a%20b/c%2Bd"
    assert store.url("s3://cor.pus/a", "") == "https://s3.us-east-1.amazonaws.com/cor.pus/a"
    moved = store.elsewhere(store.url("s3://corpus/a", ""), Answer())
    assert moved == "https://corpus.s3.eu-west-3.amazonaws.com/a" == store.url("s3://corpus/a", "")
    assert "/eu-west-3/s3/aws4_request" in store.sign("GET", moved, {}, None)["Authorization"]
    assert store.elsewhere(moved, Answer()) is None  # it is there
    config = tmp_path / "config"
    config.write_text("[profile own]\nregion = cn-north-1\nservices = mine\ns3 =\n  addressing_style = virtual\n"
                      "[services mine]\ns3 =\n  endpoint_url = https://store.example:9000\n")  # fmt: skip
    for name, value in {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "own"}.items():
        monkeypatch.setenv(name, value)
    assert S3().url("s3://corpus/a", "") == "https://corpus.store.example:9000/a"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert S3().url("s3://corpus/a", "") == "https://corpus.s3.cn-north-1.amazonaws.com.cn/a"


@pytest.mark.slow
def test_two_workers_that_race_for_one_unit(tmp_path: Path, s3: S3Server) -> None:
    """Both read it from the bucket, at once; one part is committed, and the shards are those of one machine."""
    folder = stored(s3, tmp_path / "disk", "jsonl")
    expected = prepared(tmp_path, "local", str(folder / "data"))
    plan = run_oomguard("prepare", f"{ADDRESS}/data", "--out", "out", "--job-only", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    command = ("work", "job.json", "--unit", "0", "--json")
    with started(*command, cwd=tmp_path) as one, started(*command, cwd=tmp_path) as other:
        told = [json.loads(process.communicate(timeout=120)[0]) for process in (one, other)]
    assert [process.returncode for process in (one, other)] == [0, 0]
    assert sum(each["done"][0]["already_done"] for each in told) == 1
    for line in ("work job.json", "finish job.json"):
        run = run_oomguard(*line.split(), cwd=tmp_path)
        assert run.returncode == 0, run.stderr
    assert sums_of(tmp_path / "out") == expected


@pytest.mark.slow
def test_the_commands_of_the_page(tmp_path: Path, s3: S3Server) -> None:
    """Each of docs/s3.md, but for what aws does."""
    for kind in ("small groups", "jsonl.zst"):
        for name, data in corpus(kind).items():
            s3.put(name, data)
    page = (Path(__file__).parents[3] / "docs/s3.md").read_text(encoding="utf-8")
    commands = [line.partition(" && ")[0] for line in page.splitlines() if line.startswith("oomguard ")]
    assert len(commands) == 8
    for command in commands:
        done = run_oomguard(*shlex.split(command, comments=True)[1:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert sums_of(tmp_path / "all") == sums_of(tmp_path / "tokens")
    sent = {key.removeprefix("tokens/"): data for key, data in s3.objects("tokens/").items() if ".oomguard/" not in key}
    assert sent.pop("job.json")
    assert sent == {name: (tmp_path / "all" / name).read_bytes() for name in sums_of(tmp_path / "all")}


@pytest.mark.slow
def test_a_small_budget_is_enough(tmp_path: Path, s3: S3Server) -> None:
    """With what signs requests, of a Parquet file."""
    folder = stored(s3, tmp_path / "disk", "one group")
    expected = prepared(tmp_path, "local", str(folder / "data"))
    assert prepared(tmp_path, "remote", f"{ADDRESS}/data", "--max-rss", "256M") == expected
