"""`--cache`: files of servers are fetched once, checked, and read from there."""

from dataclasses import replace
from pathlib import Path

import pytest

from oomguard.errors import BadInput, Changed
from oomguard.preparation.reading.sources import find_inputs
from oomguard.preparation.reading.wanted import Wanted
from oomguard.preparation.remote.cache import keep, kept_address, kept_path
from oomguard.preparation.remote.listing import find, keep_remote
from tests.preparation.remote.corpora import corpus, prepared, sums_on_disk
from tests.preparation.remote.hub_server import COMMIT, REPOSITORY, Fault, HubServer
from tests.running import run_oomguard

ADDRESS = f"hf://datasets/{REPOSITORY}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["one group", "text"])
def test_the_next_run_reads_what_was_kept(tmp_path: Path, hub: HubServer, kind: str) -> None:
    """Fetched in one request a file, also where a connection is cut; another folder of shards asks for the list alone."""
    hub.files = corpus(kind)
    expected = sums_on_disk(hub.files)
    dry = run_oomguard("prepare", f"{ADDRESS}/data", "--cache", "kept", "--dry-run", cwd=tmp_path)
    assert dry.returncode == 0, dry.stderr
    assert not (tmp_path / "kept").exists()
    hub.faults = [Fault("/lfs/.*part-0", cut=100_000)]
    assert prepared(tmp_path, "first", f"{ADDRESS}/data", "--cache", "kept") == expected
    assert len(hub.requests("/lfs/")) == 3
    assert prepared(tmp_path, "second", f"{ADDRESS}/data", "--cache", "kept") == expected
    assert prepared(tmp_path, "first", f"{ADDRESS}/data", "--cache", "kept") == expected  # it is done already
    assert len(hub.requests("/lfs/")) == 3
    assert f"@{COMMIT}/data/part-0" in (tmp_path / "first/.oomguard/manifest.jsonl").read_text()
    assert sorted(path.name.split(".")[0] for path in (tmp_path / "kept").rglob("part*")) == ["part-0", "part-1"]


def files_of(hub: HubServer) -> list[tuple[str, int, str]]:
    return [(one.address, one.size, one.pin) for one in find(f"{ADDRESS}/data", [], None)]


def test_what_is_damaged_is_not_kept(tmp_path: Path, hub: HubServer) -> None:
    """Its hash is that of the list, or nothing is there."""
    hub.files = {"data/a.txt": b"text" * 1000}
    files = files_of(hub)
    hub.stored["data/a.txt"] = b"tent" * 1000
    with pytest.raises(Changed, match="the hash of what was read"):
        keep(files, tmp_path / "kept")
    assert not [path for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    del hub.stored["data/a.txt"]
    keep(files, tmp_path / "kept")
    path = kept_path(tmp_path / "kept", files[0][0], files[0][2])
    assert path.read_bytes() == hub.files["data/a.txt"]
    assert kept_address(tmp_path / "kept", str(path)) == files[0][0]


def test_what_a_kill_has_left_is_removed_and_a_part_is_no_file(tmp_path: Path, hub: HubServer) -> None:
    hub.files = {"data/a.txt": b"text" * 1000}
    ((address, size, pin),) = files_of(hub)
    path = kept_path(tmp_path / "kept", address, pin)
    path.parent.mkdir(parents=True)
    left = path.with_name(f".{path.name}.0123456789abcdef.part")
    left.write_bytes(b"te")
    path.write_bytes(b"short")
    keep([(address, size, pin)], tmp_path / "kept")
    assert path.read_bytes() == hub.files["data/a.txt"]
    assert not left.exists()


def test_a_disk_that_is_too_small_is_said_before(tmp_path: Path, hub: HubServer) -> None:
    hub.files = {"data/a.txt": b"text" * 1000}
    ((address, _, pin),) = files_of(hub)
    with pytest.raises(BadInput, match="to fetch, and .* is free"):
        keep([(address, 1 << 60, pin)], tmp_path / "kept")
    assert not hub.requests("/lfs/")


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    path = kept_path(tmp_path, "s3://bucket/../../../etc//passwd", "pin")
    assert path.resolve().is_relative_to(tmp_path)
    assert ".." not in path.parts


def test_a_file_without_a_version_is_not_kept(
    tmp_path: Path, hub: HubServer, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of the same size, it may be another one the next time; what was kept before under no version is not read."""
    hub.files, address = {"a.txt": b"old text, one"}, f"{hub.cdn}/web/a.txt"
    assert keep_remote([(address, 13, "")], tmp_path / "kept", fetch=True) == [None]
    assert not hub.asked
    assert not list((tmp_path / "kept").rglob("a.txt"))
    assert f"{address}: not kept in --cache" in capfd.readouterr().err
    before = kept_path(tmp_path / "kept", address, "")
    before.parent.mkdir(parents=True)
    before.write_bytes(b"old text, one")
    assert keep_remote([(address, 13, "")], tmp_path / "kept", fetch=False) == [None]


@pytest.mark.parametrize("glob", ["hf://*", f"{ADDRESS}@*/data/*", "*.jsonl", "*/kept/*"])
def test_a_field_is_that_of_the_address_or_of_the_file(tmp_path: Path, hub: HubServer, glob: str) -> None:
    """`--text-field GLOB=FIELD` is used where it matches either."""
    hub.files = {"data/a.jsonl": b'{"body": "x"}\n'}
    fields = (("none-such/*", "no"), (glob, "body"))
    kept = Wanted(fields=fields[1:], cache=str(tmp_path / "kept"))
    (source,) = find_inputs((f"{ADDRESS}/data",), folder=tmp_path, exclude=None, wanted=kept).sources
    assert source.path.startswith(str(tmp_path / "kept"))
    assert source.text_field == "body"
    with pytest.raises(BadInput, match="no input matches none-such"):
        find_inputs((f"{ADDRESS}/data",), folder=tmp_path, exclude=None, wanted=replace(kept, fields=fields))
