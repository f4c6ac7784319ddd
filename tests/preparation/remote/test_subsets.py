"""The subsets of a dataset on the Hub, as its card names them, and the addresses that people copy from its pages."""

import shlex
from pathlib import Path

import pytest

from oomguard.errors import NothingFound, OomguardError, Unreachable
from oomguard.preparation.reading.sources import find_sources
from oomguard.preparation.remote import listing
from oomguard.preparation.remote.data_card import choose, parse_card
from tests.preparation.remote.hub_server import COMMIT, REPOSITORY, Fault, HubServer

ADDRESS = f"hf://datasets/{REPOSITORY}"
# As the card of HuggingFaceFW/fineweb-edu writes them: one glob, lists, splits, and a folder.
CARD = """---
license: odc-by
configs:
- config_name: default
  default: true
  data_files:
  - split: train
    path: data/*/*
- config_name: sample-10BT
  data_files:
  - split: train
    path: sample/10BT/*
- config_name: one
  data_files: "sample/10BT/000.parquet"
- config_name: several
  data_files:
  - "sample/100BT/*.parquet"
  - data/CC-2/**
- config_name: parts
  data_files:
  - split: train
    path:
    - "sample/10BT/000*"
    - ./sample/10BT/001*
  - split: test
    path: sample/100BT/*
- config_name: folder
  data_dir: sample/100BT
---
# A dataset
"""
TEN = [f"sample/10BT/00{number}.parquet" for number in range(3)]
FILES = ["data/CC-1/a.parquet", "data/CC-2/b.parquet", "sample/100BT/c.parquet", *TEN]


@pytest.fixture
def card(hub: HubServer) -> HubServer:
    pytest.importorskip("yaml", reason="needs PyYAML: pip install 'oomguard[hub]'")
    hub.files = dict.fromkeys(FILES, b"bytes") | {"README.md": CARD.encode()}
    return hub


def found(address: str, subset: str | None = None) -> list[str]:
    return [one.address.removeprefix(f"{ADDRESS}@{COMMIT}/") for one in listing.find(address, [], subset)]


@pytest.mark.parametrize(
    ("subset", "expected"),
    [
        ("default", FILES[:2]),
        ("sample-10BT", TEN),
        ("sample-10BT:train", TEN),
        ("one", TEN[:1]),
        ("several", [FILES[1], FILES[2]]),
        ("parts:train", TEN[:2]),
        ("parts:test", FILES[2:3]),
        ("folder", FILES[2:3]),
    ],
)
def test_a_subset_gives_its_files(card: HubServer, subset: str, expected: list[str]) -> None:
    assert found(ADDRESS, subset) == found(f"hf://{REPOSITORY}@main/", subset) == expected


@pytest.mark.parametrize(
    ("address", "subset", "said", "do"),
    [
        (ADDRESS, None, "has 6 subsets: default, sample-10BT, one", f"oomguard prepare {ADDRESS} --subset default"),
        (ADDRESS, "sample-1BT", "no subset sample-1BT; the subsets are: default, sample-10BT", "--subset default"),
        (ADDRESS, "parts", "has 2 splits; the splits are: train, test", "--subset parts:train"),
        (ADDRESS, "parts:dev", "no split dev; the splits are: train, test", "--subset parts:train"),
        (f"{ADDRESS}/data", "one", "so does the path", f"oomguard prepare {ADDRESS} --subset one"),
        (
            "https://example.org/a.txt",
            "one",
            "is only for a dataset on the Hub",
            "hf://datasets/OWNER/NAME --subset one",
        ),
    ],
)
def test_which_there_are_is_said(card: HubServer, address: str, subset: str | None, said: str, do: str) -> None:
    with pytest.raises(OomguardError) as caught:
        found(address, subset)
    assert said in str(caught.value)
    assert do in caught.value.do


@pytest.mark.parametrize(
    ("wanted", "word"),
    [("a b", "a b:x y"), ("none", "a b"), ("a b:none", "a b:x y"), (None, "a b")],
)
def test_what_to_type_is_quoted_once(wanted: str | None, word: str) -> None:
    subsets = {"a b": {"x y": ["1"], "z": ["2"]}, "c": {"train": ["3"]}}
    with pytest.raises(OomguardError) as caught:
        choose(subsets, wanted, name=ADDRESS, address=ADDRESS)
    assert shlex.split(caught.value.do) == ["oomguard", "prepare", ADDRESS, "--subset", word]


def test_without_subsets_all_files_are_meant(card: HubServer) -> None:
    hub = card
    hub.files = dict.fromkeys(FILES, b"bytes")
    assert found(ADDRESS) == FILES
    hub.files["README.md"] = b"---\nlicense: mit\n---\n"
    assert found(ADDRESS) == ["README.md", *FILES]  # which of them are a corpus is decided by their names
    with pytest.raises(OomguardError, match="names no subsets"):
        found(ADDRESS, "one")


def test_the_only_subset_is_meant(card: HubServer) -> None:
    card.files["README.md"] = b"---\nconfigs:\n- config_name: a\n  data_files: sample/10BT/*\n---\n"
    assert found(ADDRESS) == TEN


@pytest.mark.parametrize(
    "text",
    ["---\nconfigs: [1]\n---", "---\nconfigs: 5\n---", "---\nconfigs: word\n---", "---\na: !!timestamp word\n---", "---\nconfigs:\n- data_files: 7\n---", "---\na: [\n---", "---\nconfigs:\n- data_files: https://x/a\n---"],
)  # fmt: skip
def test_a_card_that_cannot_be_used(card: HubServer, text: str) -> None:
    card.files["README.md"] = text.encode()
    with pytest.raises(OomguardError, match=r"its card \(README.md\)") as caught:
        found(ADDRESS)
    assert f"oomguard prepare {ADDRESS}/FOLDER" in caught.value.do


@pytest.mark.parametrize("text", ["", "# no YAML", "---\n", "---\nconfigs:\n---\n", "---\njust words\n---\n"])
def test_a_card_that_says_nothing(text: str) -> None:
    pytest.importorskip("yaml", reason="needs PyYAML: pip install 'oomguard[hub]'")
    assert parse_card(text) == {}


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("/tree/main/sample/10BT", TEN),
        (f"/tree/{COMMIT}/sample/10BT/", TEN),
        ("/tree/refs%2Fconvert%2Fparquet/sample/10BT", TEN),
        ("/blob/main/sample/10BT/001.parquet", TEN[1:2]),
        ("/resolve/main/sample/10BT/001.parquet?download=true", TEN[1:2]),
    ],
)
def test_addresses_of_pages(card: HubServer, page: str, expected: list[str]) -> None:
    assert found(f"{card.hub}/datasets/{REPOSITORY}{page}") == expected


@pytest.mark.parametrize("page", ["", "/", "/viewer/sample-10BT/train"])
def test_the_page_of_a_data_set_is_the_data_set(card: HubServer, page: str) -> None:
    assert found(f"{card.hub}/datasets/{REPOSITORY}{page}", "one") == TEN[:1]


@pytest.mark.parametrize("address", [
    f"{ADDRESS}@main/data", f"hf://{REPOSITORY}@main/data", f"hf://{REPOSITORY}", "HUB/datasets/tester/corpus",
    "HUB/datasets/tester/corpus/tree/main/data",
])  # fmt: skip
def test_access_is_asked_for_on_the_page_of_the_data_set(hub: HubServer, address: str) -> None:
    hub.faults = [Fault("^/api", status=403, headers={"X-Error-Code": "GatedRepo"})]
    with pytest.raises(Unreachable, match="gated") as caught:
        found(address.replace("HUB", hub.hub))
    assert caught.value.do == f"request access on {hub.hub}/datasets/{REPOSITORY}, then: hf auth login"


@pytest.mark.parametrize(
    ("given", "do"),
    [
        ("HuggingFaceFW/fineweb-edu", "oomguard prepare hf://datasets/HuggingFaceFW/fineweb-edu"),
        (
            "huggingface.co/datasets/HuggingFaceFW/fineweb-edu",
            "oomguard prepare https://huggingface.co/datasets/HuggingFaceFW/fineweb-edu",
        ),
    ],
)
def test_a_name_without_its_scheme_is_said_with_it(tmp_path: Path, given: str, do: str) -> None:
    with pytest.raises(NothingFound) as caught:
        find_sources([given], folder=tmp_path, exclude=None)
    assert do in caught.value.do
    (tmp_path / given).parent.mkdir(parents=True)
    (tmp_path / given).write_text("text")
    assert len(find_sources([given], folder=tmp_path, exclude=None)) == 1
