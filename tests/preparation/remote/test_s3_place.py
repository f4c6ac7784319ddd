"""What a job keeps in a bucket: its files are whole, and a claim is of one alone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from oomguard.errors import BadInput
from oomguard.preparation.cluster import claims
from oomguard.preparation.cluster.api import plan_to
from oomguard.preparation.cluster.job_place import claim_of, make_parts, place_of
from oomguard.preparation.cluster.receipts import Receipts
from oomguard.preparation.cluster.s3_place import S3Claim, S3Place
from oomguard.preparation.cluster.shard_table import ShardTable
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.remote import requesting, s3_objects
from oomguard.preparation.remote.s3_objects import S3Objects
from oomguard.preparation.writing.token_sink import Totals
from tests.preparation.remote.corpora import corpus, on_disk
from tests.preparation.remote.hub_server import Fault
from tests.preparation.remote.s3_server import S3Server
from tests.preparation.remote.test_s3_output import OUT

if TYPE_CHECKING:
    from tests.preparation.remote.s3_server import S3Server


def test_a_store_that_ignores_conditions_is_refused(tmp_path: Path, s3: S3Server) -> None:
    disk = on_disk(tmp_path / "disk", corpus("jsonl"))
    s3.faults = [Fault(r"\.probe$", "PUT", status=200, times=9)]
    with pytest.raises(BadInput, match="If-None-Match"):
        plan_to(tmp_path / "job.json", PrepareOptions(inputs=(str(disk / "data"),), out=Path(OUT)))
    assert not (tmp_path / "job.json").exists()


def test_two_that_plan_at_once_do_not_take_the_store_for_such_a_one(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, create = place_of(Path(f"{OUT}/parts")), S3Place.create

    def create_while_another_plans(place: S3Place, text: str) -> bool:
        done = create(place, text)
        with monkeypatch.context() as other:
            other.setattr(S3Place, "create", create)
            make_parts(parts)
        return done

    monkeypatch.setattr(S3Place, "create", create_while_another_plans)
    make_parts(parts)
    assert not s3.objects("tokens")


def test_what_cannot_be_read_is_named_with_a_line_for_a_bucket(s3: S3Server) -> None:
    place = place_of(Path(f"{OUT}/a b"))
    s3.put("tokens/run/a%20b/name-train-000000-0.json", b"{")
    receipts = Receipts(place, Path(OUT), ShardTable(shards=[], totals=Totals()))
    with pytest.raises(BadInput, match="cannot be read") as caught:
        receipts.names()
    line = caught.value.do.partition(", then")[0]
    assert shlex.split(line) == ["aws", "s3", "rm", f"{OUT}/a b/name-train-000000-0.json"]


def test_a_job_is_read_whole_however_long_it_is(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of a million files has more than a page of a list may have."""
    monkeypatch.setattr(requesting, "_MOST_LIST", 1000)
    place = place_of(Path(f"{OUT}/job.json"))
    assert isinstance(place, S3Place)
    place.write_text("job " * 1000)
    assert place.read_text() == "job " * 1000


def test_claims(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One has it; a dead worker's is taken over; what was taken over is known by who had it."""
    place = place_of(Path(f"{OUT}/x.claim"))
    one, other = claim_of(place), claim_of(place)
    assert isinstance(one, S3Claim)
    s3.faults = [Fault(r"x\.claim$", "PUT", status=500, is_done=True)]  # it is there, and nobody has heard so
    assert one.take()
    assert not other.take()
    assert one.is_ours()
    monkeypatch.setattr(claims, "who", lambda _: "gone")  # the process that it names has ended
    assert other.take()
    assert not one.is_ours()
    one.give_up()
    assert other.is_ours()
    other.give_up()
    assert not place.exists()


def test_a_claim_of_another_machine_is_stale_by_the_clock_of_the_store(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(Path(f"{OUT}/x.claim"))
    assert isinstance(place, S3Place)
    place.write_text("elsewhere pid:[1] 7:1")
    claim = claim_of(place)
    assert not claim.is_stale()
    monkeypatch.setattr(claims, "_STALE_SECONDS", -1.0)
    assert claim.is_stale()


@pytest.mark.slow
def test_a_large_file_goes_in_pieces(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last piece may fail, and is sent again; what exists stays; what is given up leaves no pieces behind."""
    monkeypatch.setattr(s3_objects, "_WHOLE", 1 << 20)
    monkeypatch.setattr(s3_objects, "_PIECE", 5 << 20)  # the least that S3 takes
    file, place = tmp_path / "large", place_of(Path(f"{OUT}/large"))
    assert isinstance(place, S3Place)
    file.write_bytes(bytes(range(256)) * (12 << 12))
    s3.faults = [Fault(r"/large$", "PUT", status=500, skip=2), Fault(r"/large$", "POST", status=503, skip=1)]
    place.publish(file, "sum")
    assert s3.objects("tokens")["tokens/run/large"] == file.read_bytes()
    assert not [fault for fault in s3.faults if fault.times]
    place.publish(file, "sum")
    with pytest.raises(BadInput, match="was not made by this job"):
        place.publish(file, "another sum")
    other = place_of(Path(f"{OUT}/other"))
    assert isinstance(other, S3Place)
    s3.faults = [Fault(r"/other$", "PUT", status=403, body=b"<Error><Code>AccessDenied</Code></Error>", skip=1)]
    with pytest.raises(Exception, match="may not be read and written"):
        other.publish(file, "sum")
    assert [one.method for one in s3.requests("/other")][-1] == "DELETE"
    assert "tokens/run/other" not in s3.objects("tokens")


def test_the_last_request_for_a_large_file(tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its answer is lost the file is there all the same; where another one came first no pieces are left."""
    monkeypatch.setattr(s3_objects, "_WHOLE", 1 << 20)
    monkeypatch.setattr(s3_objects, "_PIECE", 5 << 20)
    file, place = tmp_path / "large", place_of(Path(f"{OUT}/large"))
    assert isinstance(place, S3Place)
    file.write_bytes(bytes(range(256)) * (6 << 12))
    s3.faults = [
        Fault(r"/large$", "POST", status=500, is_done=True, skip=1),
        Fault(r"/large$", "POST", status=404, body=b"<Error><Code>NoSuchUpload</Code></Error>", skip=1),  # as MinIO
    ]
    place.publish(file, "sum")
    assert not [fault for fault in s3.faults if fault.times]
    assert s3.objects("tokens")["tokens/run/large"] == file.read_bytes()
    monkeypatch.setattr(S3Objects, "find", lambda *_: None)  # another machine has it a moment later
    assert not place.commit(file, "sum")
    assert [one.method for one in s3.requests("/large")][-1] == "DELETE"


def test_what_is_removed_while_it_is_sent_is_sent_again(tmp_path: Path, s3: S3Server) -> None:
    """It was there when it was sent, and was gone when it was looked at: nothing of it would be left."""
    file, place = tmp_path / "shard", place_of(Path(f"{OUT}/shard"))
    assert isinstance(place, S3Place)
    file.write_bytes(b"tokens")
    s3.faults = [Fault(r"/shard$", "PUT", status=412)]
    place.publish(file, "sum")
    assert s3.objects("tokens") == {"tokens/run/shard": b"tokens"}
    s3.remove("tokens/run/shard")
    s3.faults = [Fault(r"/shard$", "PUT", status=412, times=9)]
    with pytest.raises(BadInput, match="it exists, and it does not"):
        place.publish(file, "sum")
