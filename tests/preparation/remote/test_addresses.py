"""Addresses that may hold a secret, or are none: refused before anything is asked, written or shown."""

from pathlib import Path

import pytest

from oomguard.errors import BadInput
from oomguard.preparation.cluster.planning import plan_job
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.preconditions import require_folder
from oomguard.preparation.remote import listing
from oomguard.preparation.remote.hub import is_hub_page
from tests.preparation.remote.hub_server import REPOSITORY, HubServer

SECRET = "hf_SECRET"


def refused(address: str) -> BadInput:
    """By what looks it up, and by what asks a helper to."""
    with pytest.raises(BadInput) as found:
        list(listing.find(address, [], None))
    with pytest.raises(BadInput) as listed:
        listing.list_remote(address, [])
    assert (str(listed.value), listed.value.do) == (str(found.value), found.value.do)
    return found.value


@pytest.mark.parametrize(
    "address",
    [
        f"https://user:{SECRET}@huggingface.co/datasets/o/n/resolve/main/x.txt",
        f"https://{SECRET}@huggingface.co/datasets/o/n",
        f"https://huggingface.co/datasets/o/n/resolve/main/x.txt?token={SECRET}",
        f"https://huggingface.co/datasets/o/n/resolve/main/x.txt?download={SECRET}",
        f"https://huggingface.co/datasets/o/n/resolve/main/x.txt?download=true&token={SECRET}",
        f"https://user:{SECRET}@host.invalid/x.txt",
        f"http://host.invalid/x.txt?X-Amz-Signature={SECRET}",
        f"https://u:{SECRET}@[bad/x",
        f"https://u:{SECRET}@host.invalid:port/x",
        f"https://[bad/x?{SECRET}",
        f"s3://AKIA:{SECRET}@bucket/x.txt",
        f"s3://AKIA:{SECRET}/+@bucket/x.txt",
        f"s3://{SECRET}@host.invalid:9000/bucket/x.txt",
        f"gs://{SECRET}@bucket/x.txt",
        f"hf://user:{SECRET}@datasets/o/n",
        f"hf://{SECRET}@huggingface.co/datasets/o/n",
    ],
)
def test_a_secret_is_refused_and_not_told(address: str, capfd: pytest.CaptureFixture[str]) -> None:
    error = refused(address)
    assert SECRET not in f"{error} {error.do} {''.join(capfd.readouterr())}"


@pytest.mark.parametrize("address", ["https://[bad/x.txt", "http://host.invalid:port/x.txt"])
def test_what_is_no_address_is_said(address: str) -> None:
    assert str(refused(address)) == f"{address} is not a web address"


def test_no_job_is_planned_with_a_secret(tmp_path: Path, hub: HubServer) -> None:
    hub.files = {"x.txt": b"some text\n" * 20}
    page = f"{hub.hub}/datasets/{REPOSITORY}/resolve/main/x.txt".replace("://", f"://user:{SECRET}@")
    with pytest.raises(BadInput, match="may hold a secret"):
        plan_job(PrepareOptions(inputs=(page,), out=tmp_path / "out"))
    assert hub.asked == []


def test_no_bucket_for_the_shards_is_named_with_a_secret(tmp_path: Path) -> None:
    out = Path(f"s3://AKIA:{SECRET}@bucket/tokens")
    (tmp_path / "x.txt").write_text("some text\n" * 20)
    with pytest.raises(BadInput, match="may hold a secret") as caught:
        plan_job(PrepareOptions(inputs=(str(tmp_path / "x.txt"),), out=out))
    assert SECRET not in f"{caught.value} {caught.value.do}"
    with pytest.raises(BadInput, match="may hold a secret") as caught:
        require_folder(out)
    assert SECRET not in f"{caught.value} {caught.value.do}"


def test_an_endpoint_that_is_no_address_is_of_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://[bad")
    assert not is_hub_page("https://example.org/datasets/o/n")
