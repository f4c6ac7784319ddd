"""The other formats on a server: the shards of the same file on disk, or a refusal by name."""

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.preparation.remote.hub_server import REPOSITORY, Fault, HubServer
from tests.preparation.remote.test_remote_prepare import documents, on_disk, prepared
from tests.properties import some_of
from tests.running import run_oomguard

pytestmark = pytest.mark.slow  # whole runs

TEXTS = documents(400, 5)


def table(separator: str) -> bytes:
    file = io.StringIO()
    rows = csv.writer(file, delimiter=separator)
    rows.writerows([("id", "text"), *((number, f'{text}\n"quoted"') for number, text in enumerate(TEXTS))])
    return file.getvalue().encode()


def archive(mode: str, name: Callable[[int], str], content: Callable[[str], bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]  # a mode as it comes
        for number, text in enumerate(TEXTS):
            member = tarfile.TarInfo(name(number))
            data = content(text)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def warc() -> bytes:
    records = []
    for number, text in enumerate(TEXTS):
        data = text.encode()
        head = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: http://host/{number}\r\nContent-Type: text/plain\r\n"
        records.append(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n\r\n")
    return b"".join(records)


ARRAY = json.dumps([{"text": text} for text in TEXTS]).encode()
LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
KINDS: dict[str, Callable[[], bytes]] = {
    "a.csv": lambda: table(","),
    "a.csv.gz": lambda: gzip.compress(table(",")),
    "a.tsv": lambda: table("\t"),
    "a.tar": lambda: archive("w", "{}.txt".format, str.encode),
    "a.tar.gz": lambda: archive("w:gz", "{}.json".format, lambda text: json.dumps({"text": text}).encode()),
    "a.warc": warc,
    "a.warc.gz": lambda: b"".join(gzip.compress(one + b"\r\n\r\n") for one in warc().split(b"\r\n\r\n") if one),
    "a.jsonl.bz2": lambda: bz2.compress(LINES),
    "a.jsonl.xz": lambda: lzma.compress(LINES),
    "a.json": lambda: LINES,
}


@pytest.mark.parametrize("name", some_of(list(KINDS), one_in=2))
def test_the_same_shards_as_the_file_on_disk(tmp_path: Path, hub: HubServer, name: str) -> None:
    """Also where the connection is cut in the middle."""
    hub.files = {f"data/{name}": KINDS[name]()}
    folder = on_disk(tmp_path / "disk", hub.files)
    expected = prepared(tmp_path, "local", str(folder / "data" / name))
    hub.faults = [Fault("/lfs/", cut=len(hub.files[f"data/{name}"]) // 2)]
    assert prepared(tmp_path, "remote", f"hf://datasets/{REPOSITORY}/data/{name}") == expected
    assert not hub.faults[0].times


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_an_array_is_said_to_be_one(tmp_path: Path, hub: HubServer, name: str) -> None:
    """On disk the first byte shows it; on a server nothing is looked into before, and --input-format says it."""
    hub.files = {f"data/{name}": ARRAY}
    folder = on_disk(tmp_path / "disk", hub.files)
    address = f"hf://datasets/{REPOSITORY}/data/{name}"
    expected = prepared(tmp_path, "local", str(folder / "data" / name))
    failed = run_oomguard("prepare", address, "--out", "wrong", cwd=tmp_path)
    assert failed.returncode == 1
    assert "--input-format json" in failed.stderr
    assert prepared(tmp_path, "remote", address, "--input-format", "json") == expected


def test_what_is_read_by_seeking_is_refused_by_name(tmp_path: Path, hub: HubServer) -> None:
    hub.files = {"data/a.arrow": b"ARROW1" * 100}
    failed = run_oomguard("prepare", f"hf://datasets/{REPOSITORY}/data", "--out", "out", cwd=tmp_path)
    assert failed.returncode == 1
    assert "matches no file that is read from the server; ignored: 1 file (.arrow)" in " ".join(failed.stderr.split())
