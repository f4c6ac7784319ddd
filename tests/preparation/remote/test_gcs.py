"""`gs://` against a server of our own that answers as Google's JSON API does; Google's service itself is out of reach.

Source: https://cloud.google.com/storage/docs/json_api/v1/objects, list and get.
"""

import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from oomguard.errors import BadInput, OomguardError, Unreachable
from oomguard.preparation.remote import listing
from oomguard.preparation.remote.remote_file import RemoteFile
from oomguard.preparation.remote.requesting import Client, receive_all
from tests.preparation.remote.corpora import corpus, on_disk, prepared
from tests.preparation.remote.hub_server import Fault, HandlerOfFaults, WithFaults
from tests.running import run_oomguard

ADDRESS = "gs://corpus"


class GoogleServer(WithFaults):
    """One bucket; a write makes a new generation."""

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.generations: dict[str, int] = {}
        self.page = 1000
        self.url = self.listen(_Handler, "google")

    def put(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.generations[name] = self.generations.get(name, 1_700_000_000_000_000) + 1


class _Handler(HandlerOfFaults):
    hub: GoogleServer

    def do_GET(self) -> None:  # noqa: N802 - as http.server calls it
        self.note()
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        bucket, _, name = url.path.removeprefix("/storage/v1/b/").partition("/o")
        if self.fault is not None and self.fault.status:
            self.answer(self.fault.status, self.fault.body, **self.fault.headers)
        elif bucket != "corpus":
            self.answer(404, b"{}")
        elif name:
            self.give(unquote(name[1:]), query)
        else:
            self.give_list(query)

    def give(self, name: str, query: dict[str, str]) -> None:
        if name not in self.hub.files:
            return self.answer(404, b"{}")
        if query["ifGenerationMatch"] != str(self.hub.generations[name]):
            return self.answer(412, b"{}")
        assert query["alt"] == "media"
        data = self.hub.files[name]
        first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
        part = data[first : last + 1]
        return self.answer(206, part, **{"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(data)}"})

    def give_list(self, query: dict[str, str]) -> None:
        names = sorted(name for name in self.hub.files if name.startswith(query.get("prefix", "")))
        start = int(query.get("pageToken", "0"))
        items = [
            {"name": name, "size": str(len(self.hub.files[name])), "generation": str(self.hub.generations[name])}
            for name in names[start : start + self.hub.page]
        ]
        page: dict[str, Any] = {"items": items} if items else {}
        if start + self.hub.page < len(names):
            page["nextPageToken"] = str(start + self.hub.page)
        self.answer(200, json.dumps(page).encode())


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[GoogleServer]:
    pytest.importorskip("google.auth", reason="needs google-auth: pip install 'oomguard[gcs]'")
    server = GoogleServer()
    for name, value in {"STORAGE_EMULATOR_HOST": server.url, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    yield server
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one group", "jsonl.zst"])
def test_the_same_shards_as_files_on_disk(tmp_path: Path, google: GoogleServer, kind: str) -> None:
    for name, data in corpus(kind).items():
        google.put(name, data)
    google.page = 1
    google.faults = [Fault("part-0", status=503, headers={"Retry-After": "0"}), Fault("part-1", cut=1000)]
    folder = on_disk(tmp_path / "disk", google.files)
    expected = prepared(tmp_path, "local", str(folder / "data"))
    assert prepared(tmp_path, "remote", f"{ADDRESS}/data") == expected
    assert not any(fault.times for fault in google.faults)


@pytest.mark.slow
def test_an_object_that_changes_is_refused_by_name(tmp_path: Path, google: GoogleServer) -> None:
    for name, data in corpus("jsonl").items():
        google.put(name, data)
    plan = run_oomguard("prepare", f"{ADDRESS}/data", "--out", "out", "--job-only", cwd=tmp_path)
    assert plan.returncode == 0, plan.stderr
    google.put("data/part-0.jsonl", google.files["data/part-0.jsonl"])
    failed = run_oomguard("work", "job.json", "--unit", "0", cwd=tmp_path)
    assert failed.returncode == 1
    assert f"{ADDRESS}/data/part-0.jsonl is not the same file" in " ".join(failed.stderr.split())


def test_what_an_address_names(google: GoogleServer) -> None:
    google.page = 2
    for name in ("a/1.txt", "a/b/2.txt", "a/b", "a/b/", "a/.hidden/3.txt", "ab.txt", "a b+é/c.txt"):
        google.put(name, b"text")

    def found(path: str) -> list[str]:
        return [one.address.removeprefix(f"{ADDRESS}/") for one in listing.find(f"{ADDRESS}/{path}", [], None)]

    assert found("a") == ["a/1.txt", "a/b", "a/b/2.txt"]
    assert found("a/b") == ["a/b"]
    assert found("a/b/") == ["a/b/2.txt"]
    assert found("**/*.txt") == ["a b+é/c.txt", "a/1.txt", "a/b/2.txt", "ab.txt"]
    assert found("a b+é/c.txt") == ["a b+é/c.txt"]
    with pytest.raises(OomguardError, match="is not there"):
        list(listing.find("gs://other/a", [], None))


def test_an_object_that_is_unpacked_on_the_way_is_refused_by_name(google: GoogleServer) -> None:
    """The size in the list is of what is stored, and another than that of what comes: it would be cut off there.

    Source: https://cloud.google.com/storage/docs/transcoding: the answer is 200, also to a Range, without a length.
    """
    text = b"".join(b"line %d\n" % number for number in range(2000))
    google.put("a.txt", gzip.compress(text))
    (entry,) = listing.find(f"{ADDRESS}/a.txt", [], None)
    assert entry.size < len(text)
    google.faults = [
        Fault(
            "/o/a.txt",
            status=200,
            headers={"Transfer-Encoding": "chunked", "x-goog-stored-content-encoding": "gzip"},
            body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(text), text),
        )
    ]
    with closing(RemoteFile(entry.address, entry.size, entry.pin)) as file, pytest.raises(BadInput) as caught:
        file.read()
    assert f"{ADDRESS}/a.txt is stored with Content-Encoding gzip" in str(caught.value)
    assert f"gcloud storage cp {ADDRESS}/a.txt" in caught.value.do


@pytest.mark.parametrize("content", [None, "no JSON", '{"type": "service_account"}', "FOLDER"])
def test_credentials_that_are_named_and_cannot_be_had(
    google: GoogleServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """Then nobody is not who asks; without that variable it is, as for what is public."""
    from google.auth.exceptions import DefaultCredentialsError

    from oomguard.preparation.remote.gcs import Gcs

    path = tmp_path / "key.json"
    if content == "FOLDER":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(Unreachable, match="the credentials for Google cannot be obtained: [A-Za-z]+ ") as caught:
        Gcs()
    assert caught.value.do == "ls -l $GOOGLE_APPLICATION_CREDENTIALS; or unset it"

    def none(**_: Any) -> None:
        raise DefaultCredentialsError("none")

    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setattr("google.auth.default", none)
    assert Gcs().secret("") == {}


class Renewed:
    """Credentials that have run out; `failures` are what getting a token ends with before it works."""

    def __init__(self, *failures: Exception) -> None:
        self.valid, self.token, self.failures = False, "token", list(failures)

    def refresh(self, _: Any) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.valid = True


def test_a_token_is_asked_for_again_where_the_network_fails(
    google: GoogleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from google.auth.exceptions import RefreshError, TransportError

    from oomguard.preparation.remote.gcs import Gcs

    monkeypatch.setattr("time.sleep", lambda _: None)
    store = Gcs()
    store._credentials = Renewed(TransportError("no network"), RefreshError("busy", retryable=True))
    client = Client(ADDRESS, store)
    assert client.ask(store.bucket_url("corpus"), {}, receive_all) == b"{}"
    assert [one.headers["Authorization"] for one in google.asked] == ["Bearer token"]
    store._credentials = Renewed(RefreshError("revoked"))
    with pytest.raises(Unreachable, match="no token from Google: RefreshError$"):
        client.ask(store.bucket_url("corpus"), {}, receive_all)
