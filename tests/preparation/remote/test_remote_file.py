"""One file on a server: its bytes whatever the connection does, in few requests, and never those of another version."""

import io
import json
import random
import re
import socket
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oomguard.errors import BadInput, Changed, MissingExtra, NothingFound, OomguardError, Unreachable
from oomguard.preparation.reading.parquet_stream import iter_parquet
from oomguard.preparation.reading.pieces import ReadOptions, unpack
from oomguard.preparation.reading.source import Source
from oomguard.preparation.remote import listing, remote_file, requesting
from oomguard.preparation.remote.hub import find_on_hub, hub_token
from oomguard.preparation.remote.remote_file import RemoteFile
from oomguard.units import KIB, MIB
from tests.preparation.remote.conftest import TOKEN
from tests.preparation.remote.hub_server import COMMIT, REPOSITORY, Fault, HubServer

DATA = random.Random(7).randbytes(3 * MIB + 5)
NAME = "data/a.bin"
ADDRESS = f"hf://datasets/{REPOSITORY}@{COMMIT}/{NAME}"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which nobody waits."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr("random.random", lambda: 0.0)
    return waited


@pytest.fixture
def file(hub: HubServer, waits: list[float]) -> Iterator[RemoteFile]:
    """A file on the Hub, as it is listed there."""
    hub.files = {NAME: DATA}
    with closing(opened()) as file:
        yield file


def opened(address: str = ADDRESS) -> RemoteFile:
    (entry,) = listing.find(address, [], None)
    return RemoteFile(entry.address, entry.size, entry.pin)


def read_all(file: RemoteFile) -> bytes:
    return b"".join(iter(lambda: file.read(100_000), b""))


def small_ranges(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """A small file is read as a large one would be."""
    for name, value in {"_RANGE": size, "_NEXT": size // 2, "_BLOCK": 16 * KIB, "_SMALL": 1000, "_TAIL": 2000}.items():
        monkeypatch.setattr(remote_file, name, value)


def test_one_request_gives_the_whole_file(file: RemoteFile, hub: HubServer) -> None:
    assert read_all(file) == DATA
    assert [one.headers["Range"] for one in hub.requests("/resolve/")] == [f"bytes=0-{len(DATA) - 1}"]


def test_long_files_are_read_by_ranges(file: RemoteFile, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    small_ranges(monkeypatch, MIB)
    assert read_all(file) == DATA
    assert len(hub.requests("/resolve/")) == 4  # 3 MiB and 5 bytes


def test_a_connection_that_is_cut_is_resumed_there(file: RemoteFile, hub: HubServer, waits: list[float]) -> None:
    hub.faults = [Fault("/lfs/", cut=1_000_000), Fault("/lfs/", cut=0), Fault("/lfs/", cut=17)]
    assert read_all(file) == DATA
    assert [one.headers["Range"].split("-")[0] for one in hub.requests("/lfs/")] == [
        "bytes=0", "bytes=1000000", "bytes=1000000", "bytes=1000017",
    ]  # fmt: skip
    assert sum(waits) <= 2


def test_a_connection_that_is_always_cut_is_given_up(file: RemoteFile, hub: HubServer, waits: list[float]) -> None:
    hub.faults = [Fault("/lfs/", cut=0, times=99)]
    with pytest.raises(Unreachable, match=re.escape(ADDRESS)) as failed:
        read_all(file)
    assert "resumes" in failed.value.do
    assert waits == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]


def test_a_server_that_is_gone_is_given_up(
    file: RemoteFile, hub: HubServer, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")  # nobody listens there any more
    with pytest.raises(Unreachable, match="Connection refused"):
        read_all(file)
    assert len(waits) == 7


@pytest.mark.parametrize(
    ("status", "headers", "waited"),
    [
        (429, {"RateLimit": '"resolvers";r=0;t=42'}, 43.0),
        (429, {"RateLimit": '"resolvers";r=0;t=42', "Retry-After": "7"}, 43.0),
        (429, {"Retry-After": "7"}, 7.0),
        (429, {}, 60.0),
        (429, {"Retry-After": "99999"}, 3600.0),
        (503, {"Retry-After": "7", "RateLimit": '"resolvers";r=400;t=200'}, 7.0),
        (503, {}, 0.0),
        (500, {"Retry-After": "7"}, 0.0),
        (429, {"Retry-After": formatdate(0, usegmt=True)}, 0.0),
    ],
)
def test_a_wait_that_is_asked_for_is_kept(
    file: RemoteFile, hub: HubServer, waits: list[float], status: int, headers: dict[str, str], waited: float
) -> None:
    hub.faults = [Fault("/resolve/", status=status, headers=headers)]
    assert read_all(file) == DATA
    assert waits == [waited]


def test_waits_are_bounded_and_said(
    file: RemoteFile, hub: HubServer, waits: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults = [Fault("/resolve/", status=429, headers={"Retry-After": "10"}, times=999)]
    with pytest.raises(Unreachable, match="429"):
        read_all(file)
    assert waits == [10.0] * 30
    assert f"{ADDRESS}: the server answers 429; tried again in 10 s" in capsys.readouterr().err


def test_an_address_that_has_run_out_is_asked_for_again(file: RemoteFile, hub: HubServer) -> None:
    hub.faults = [Fault("/lfs/", status=403)]
    assert read_all(file) == DATA
    assert len(hub.requests("/resolve/")) == 2


def test_a_server_without_ranges_is_read_from_the_start(file: RemoteFile, hub: HubServer) -> None:
    hub.ranges = False
    hub.faults = [Fault("/lfs/", cut=1_000_000)]
    assert read_all(file) == DATA


@pytest.mark.parametrize("more", [b"", b"!"])
def test_a_body_without_a_length_ends_where_the_file_does(hub: HubServer, waits: list[float], more: bytes) -> None:
    hub.files = {NAME: DATA[:1000]}
    file = opened(f"{hub.cdn}/web/{NAME}")
    body = DATA[:1000] + more
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    hub.faults = [Fault("/web/", status=200, headers={"Transfer-Encoding": "chunked"}, body=chunked)]
    if not more:
        assert file.read() == DATA[:1000]
        return
    with pytest.raises(Changed, match="more than the 1,000 bytes"):
        file.read()


def test_an_empty_file_on_a_plain_server(hub: HubServer, waits: list[float]) -> None:
    """It has no first byte to ask for: 416, and its length in Content-Range."""
    hub.files = {NAME: b""}
    (entry,) = listing.find(f"{hub.cdn}/web/{NAME}", [], None)
    assert entry.size == 0
    assert RemoteFile(entry.address, 0, entry.pin).read() == b""
    hub.faults = [Fault("/web/", status=416, headers={"Content-Range": "bytes */9"})]
    with pytest.raises(Unreachable, match="the server answers 416"):
        list(listing.find(f"{hub.cdn}/web/{NAME}", [], None))


def test_an_empty_content_encoding_is_none(hub: HubServer, waits: list[float]) -> None:
    hub.files = {NAME: DATA[:1000]}
    file = opened(f"{hub.cdn}/web/{NAME}")
    hub.faults = [Fault("/web/", status=200, headers={"Content-Encoding": ""}, body=DATA[:1000])]
    assert file.read() == DATA[:1000]


@pytest.mark.parametrize("where", ["shorter", "longer", "linked", "content"])
def test_another_version_is_an_error(file: RemoteFile, hub: HubServer, where: str) -> None:
    """Of another size, with another ETag, or with nothing but another hash."""
    if where == "linked":
        hub.files[NAME] = b"x" + DATA[1:]
    else:
        hub.stored[NAME] = {"shorter": DATA[:-1], "longer": DATA + b"x", "content": DATA[:-1] + b"x"}[where]
    with pytest.raises(Changed, match=re.escape(ADDRESS)) as failed:
        read_all(file)
    assert "--restart" in failed.value.do


def test_a_small_file_is_compared_with_the_hash_of_its_blob(hub: HubServer, waits: list[float]) -> None:
    hub.files = {NAME: b"a few words"}
    assert read_all(opened()) == b"a few words"
    file = opened()
    hub.files = {NAME: b"a few wordz"}
    with pytest.raises(Changed, match="ETag|hash"):
        read_all(file)


def test_of_a_plain_server_the_etag_is_compared(hub: HubServer, waits: list[float]) -> None:
    hub.files = {NAME: DATA}
    file = opened(f"{hub.cdn}/web/{NAME}")
    assert file.read(10) == DATA[:10]
    file.close()
    hub.etags[NAME] = "another"
    with pytest.raises(Changed, match="another"):
        read_all(file)


@pytest.mark.parametrize("name", ["a b.txt", "données/é#1?.txt", "a%20b.txt", "+.txt"])
def test_names_of_any_letters(hub: HubServer, waits: list[float], name: str) -> None:
    hub.files = {f"in/{name}": DATA}
    assert read_all(opened(f"hf://datasets/{REPOSITORY}/in/{name}")) == DATA


def test_a_page_on_another_host_gets_no_token(
    hub: HubServer, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.faults = [Fault("/tree/", status=200, headers={"Link": f'<{hub.cdn}/more>; rel="next"', "Content-Length": "2"})]
    with pytest.raises(Unreachable, match="not the Hub's API"):
        list(find_on_hub(f"hf://datasets/{REPOSITORY}/data", []))
    assert not [one for one in hub.asked if one.server != "hub"]


def test_tokens_are_found_where_the_hub_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_DISABLE_IMPLICIT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert hub_token() is None
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface/token").write_text("of the cache\n")
    assert hub_token() == "of the cache"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    assert hub_token() is None
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "huggingface/token"))
    assert hub_token() == "of the cache"
    monkeypatch.setenv("HF_TOKEN", "of the shell")
    assert hub_token() == "of the shell"
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert hub_token() is None


def test_offline_is_offline(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(Unreachable, match="HF_HUB_OFFLINE"):
        opened()
    assert hub.asked == []


def test_without_requests_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "requests", None)
    with pytest.raises(MissingExtra) as failed:
        RemoteFile("https://127.0.0.1/a", 1, "")
    assert failed.value.do == "pip install 'oomguard[hub]'"


def test_a_commit_of_an_earlier_run_is_kept(hub: HubServer, waits: list[float]) -> None:
    hub.files = {NAME: DATA}
    (entry,) = find_on_hub(f"hf://datasets/{REPOSITORY}/{NAME}", [ADDRESS])
    assert entry.address == ADDRESS
    assert [one.path.partition("?")[0] for one in hub.asked] == [f"/api/datasets/{REPOSITORY}/tree/{COMMIT}/data"]


def test_of_several_commits_of_an_earlier_run_none_is_taken_for_another(hub: HubServer, waits: list[float]) -> None:
    """Which of them was that of the main branch is not known, and it is asked for."""
    hub.files = {NAME: DATA}
    other = f"hf://datasets/{REPOSITORY}@{'a' * 40}/default/0000.parquet"
    (entry,) = find_on_hub(f"hf://datasets/{REPOSITORY}/{NAME}", [other, ADDRESS])
    assert entry.address == ADDRESS
    assert len(hub.requests(f"^/api/datasets/{REPOSITORY}$")) == 1


def test_a_list_that_is_cut_is_asked_for_again(hub: HubServer, waits: list[float]) -> None:
    hub.files = {NAME: DATA}
    hub.faults = [Fault("/tree/", cut=20)]
    assert [one.size for one in find_on_hub(f"hf://datasets/{REPOSITORY}/data", [])] == [len(DATA)]


ENTRY = {"type": "file", "oid": "0" * 40, "size": 3, "path": "data/a.txt"}


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "no"},
        "words",
        ["words"],
        [{key: value for key, value in ENTRY.items() if key != "oid"}],
        [{**ENTRY, "oid": 7}],
        [{**ENTRY, "lfs": "words"}],
        [{**ENTRY, "lfs": {"oid": 7}}],
        [{**ENTRY, "size": -1}],
        [{**ENTRY, "path": None}],
    ],
)
def test_a_tree_that_is_none_is_said(hub: HubServer, waits: list[float], answer: Any) -> None:
    hub.faults = [Fault("/tree/", status=200, body=json.dumps(answer).encode())]
    with pytest.raises(Unreachable, match="not the Hub's API"):
        list(find_on_hub(f"hf://datasets/{REPOSITORY}/data", []))


def test_a_next_page_that_is_no_address(hub: HubServer, waits: list[float]) -> None:
    hub.faults = [Fault("/tree/", status=200, headers={"Link": '<http://[bad>; rel="next"'}, body=b"[]")]
    with pytest.raises(Unreachable, match="not the Hub's API"):
        list(find_on_hub(f"hf://datasets/{REPOSITORY}/data", []))


@pytest.mark.parametrize("endpoint", ["http://[bad", "hub.invalid"])
def test_an_endpoint_that_is_no_address(hub: HubServer, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    with pytest.raises(BadInput, match="HF_ENDPOINT"):
        list(listing.find(f"hf://datasets/{REPOSITORY}/data", [], None))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a.txt", "b/c.txt", "b/d/e.txt"]),
        ("*.txt", ["a.txt"]),
        ("b", ["b/c.txt", "b/d/e.txt"]),
        ("b/", ["b/c.txt", "b/d/e.txt"]),
        ("**/*.txt", ["a.txt", "b/c.txt", "b/d/e.txt"]),
        ("b/**", ["b/c.txt", "b/d/e.txt"]),
        ("b/?/[!f].txt", ["b/d/e.txt"]),
        ("b/d/e.txt", ["b/d/e.txt"]),
    ],
)
def test_which_files_an_address_names(hub: HubServer, pattern: str, found: list[str]) -> None:
    """Hidden ones are none of them."""
    hub.files = dict.fromkeys(["a.txt", "b/c.txt", "b/d/e.txt", ".gitattributes", "b/.hidden/f.txt"], b"text")
    entries = find_on_hub(f"hf://datasets/{REPOSITORY}/{pattern}", [])
    assert sorted(one.address.partition(f"{COMMIT}/")[2] for one in entries) == found


@pytest.mark.parametrize("address", [
    f"hf://datasets/{REPOSITORY}/[z-a].txt", "hf://datasets/one", "hf://", "hf://datasets/a/b@/x",
])  # fmt: skip
def test_addresses_that_are_none(hub: HubServer, address: str) -> None:
    with pytest.raises(OomguardError) as failed:
        list(find_on_hub(address, []))
    assert not isinstance(failed.value, NothingFound)


@pytest.mark.parametrize("groups", [50, 100_000])
def test_parquet_is_read_column_by_column(
    hub: HubServer, waits: list[float], monkeypatch: pytest.MonkeyPatch, groups: int
) -> None:
    """With small and with one giant row group, from any row on, the texts are those of the file, in few requests."""
    small_ranges(monkeypatch, 64 * KIB)
    texts: list[str | None] = [f"text {number} " * (number % 60) for number in range(1500)]
    texts[3] = None
    table: Any = pa.table({"text": texts, "id": list(range(1500))})
    written = io.BytesIO()
    pq.write_table(table, written, row_group_size=groups, data_page_size=4000, compression="none")
    name = f"hf://datasets/{REPOSITORY}/data/a.parquet"
    hub.files = {"data/a.parquet": written.getvalue()}
    (entry,) = find_on_hub(name, [])
    source = Source(path=entry.address, kind="parquet", compression=None, size=entry.size, mtime_ns=None, pin=entry.pin)
    options = ReadOptions(family="gpt2", piece_bytes=10_000, longest_piece=MIB)
    hub.asked.clear()
    pieces = list(iter_parquet(source, options=options, resume=None, reserve=lambda *_: None))
    expected = [text.encode() if text is not None else None for text in texts]
    assert [one for piece in pieces for one in documents_of(piece)] == expected
    # The footer's end, the rest of it, and one for each half range, beside what small files and cuts add.
    assert len(hub.requests("/resolve/")) <= 2 + -(-entry.size // (32 * KIB))
    reached = [piece.read_to or 0 for piece in pieces]
    assert reached == sorted(reached)  # for the display
    assert 0 < reached[0] <= reached[-1] <= entry.size
    middle = pieces[len(pieces) // 2]
    rest = list(iter_parquet(source, options=options, resume=middle.resume, reserve=lambda *_: None))
    assert [one for piece in rest for one in documents_of(piece)] == expected[middle.resume["rows"] :]
    hub.faults = [Fault("/lfs/", cut=30_000, skip=2)]
    again = list(iter_parquet(source, options=options, resume=None, reserve=lambda *_: None))
    assert [one for piece in again for one in documents_of(piece)] == expected
    hub.faults = [Fault("/lfs/", status=410, skip=2)]
    with pytest.raises(NothingFound, match="is not there"):  # through Arrow, and still ours
        list(iter_parquet(source, options=options, resume=None, reserve=lambda *_: None))


@pytest.mark.parametrize(
    ("footer", "magic", "requests"),
    [(100_000, b"ABCD", 1), (100_000, b"PAR1", 2), (len(DATA), b"PAR1", 1), (0xFFFF_FFFF, b"PAR1", 1)],
)
def test_only_the_length_of_a_footer_is_believed(
    file: RemoteFile, hub: HubServer, monkeypatch: pytest.MonkeyPatch, footer: int, magic: bytes, requests: int
) -> None:
    """Behind it stands PAR1, and it fits in the file."""
    small_ranges(monkeypatch, MIB)
    hub.files[NAME] = DATA[:-8] + footer.to_bytes(4, "little") + magic
    file = opened()
    file.keep_tail()
    assert len(hub.requests("/lfs/")) == requests


def test_a_footer_of_any_length_is_not_held(file: RemoteFile, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    small_ranges(monkeypatch, MIB)
    monkeypatch.setattr(remote_file, "_MOST_FOOTER", 100_000, raising=False)
    hub.files[NAME] = DATA[:-8] + (100_000).to_bytes(4, "little") + b"PAR1"
    file = opened()
    with pytest.raises(BadInput, match="its footer has") as caught:
        file.keep_tail()
    assert caught.value.do == "download the file first"
    assert len(hub.requests("/lfs/")) == 1


def documents_of(piece: Any) -> list[bytes | None]:
    data, sizes, _ = unpack(memoryview(b"".join(piece.data)))
    at, found = 0, []
    for size in sizes:
        found.append(None if size < 0 else bytes(data[at : at + size]))
        at += max(0, size)
    return found


def test_nothing_of_an_address_is_told() -> None:
    inner = OSError(111, "https://host/?signature=secret")
    outer = ValueError("https://host/?signature=secret")
    outer.__cause__ = inner
    assert requesting.words_of(outer) == "ValueError (Connection refused)"


def test_a_name_that_nobody_knows_is_said_in_words() -> None:
    outer = ConnectionError("HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: /a?signature=b")
    outer.__context__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    assert requesting.words_of(outer) == "its host name cannot be resolved"
