"""A job in units whose inputs are on a server: planned with few requests, pinned, and the same bytes as on one machine."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from oomguard.errors import BadInput, Changed
from oomguard.preparation.api import prepare
from oomguard.preparation.cluster.api import plan_within
from oomguard.preparation.cluster.finishing import finish
from oomguard.preparation.cluster.job_file import JobFile, read_job, write_job
from oomguard.preparation.cluster.planning import plan_job
from oomguard.preparation.cluster.unit_work import do_unit
from oomguard.preparation.options import PrepareOptions
from oomguard.preparation.reading.source import Part
from tests.preparation.cluster.test_job import files
from tests.preparation.remote.conftest import TOKEN
from tests.preparation.remote.corpora import corpus, on_disk
from tests.preparation.remote.hub_server import COMMIT, REPOSITORY, HubServer
from tests.properties import some_of
from tests.running import run_oomguard

ADDRESS = f"hf://datasets/{REPOSITORY}"
UNIT = 150_000


def planned(folder: Path, out: str, *inputs: str, unit: int = UNIT, **more: Any) -> tuple[PrepareOptions, JobFile]:
    options = PrepareOptions(inputs=inputs, out=folder / out, **more)
    write_job(plan_job(options, unit_bytes=unit), folder / f"{out}.json")
    return options, read_job(folder / f"{out}.json")


def done(job: JobFile) -> dict[str, bytes]:
    numbers = list(range(len(job.units)))
    random.Random(2).shuffle(numbers)
    for number in numbers:
        do_unit(job, number, workers=1)
    finish(job)
    return files(job.options.out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "units", "more"),
    some_of([
        ("text", 4, {}),
        ("text", 4, {"val_fraction": "0.3", "newlines": "universal"}),
        ("text", 4, {"separator": "\\n", "format": "megatron"}),
        ("jsonl", 4, {"format": "npy", "shard_tokens": 50_000}),
        ("small groups", 4, {"format": "datatrove", "val_fraction": "0.1"}),
        ("one group", 2, {}),
        ("jsonl.zst", 2, {}),
    ], one_in=2),
)  # fmt: skip
def test_the_bytes_are_those_of_files_on_disk(
    tmp_path: Path, hub: HubServer, kind: str, units: int, more: dict[str, Any]
) -> None:
    made = corpus(kind)
    if more.get("newlines"):
        made = {name: data.replace(b"\n", b"\r\n") for name, data in made.items()}
    hub.files = made
    folder = on_disk(tmp_path / "disk", made)
    prepare(PrepareOptions(inputs=(str(folder / "data"),), out=tmp_path / "alone", **more))
    _, job = planned(tmp_path, "out", f"{ADDRESS}/data", **more)
    assert len(job.units) >= units
    assert all(f"@{COMMIT}/" in source.path and len(source.pin) == 64 for source in job.sources)
    assert done(job) == files(tmp_path / "alone")


def test_planning_asks_little(tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One short request at the end of each unit; the job's file has no token."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.token, hub.files = TOKEN, corpus("jsonl")
    _, job = planned(tmp_path, "out", f"{ADDRESS}/data")
    assert len(hub.requests("/resolve/")) <= len(job.units)
    read = [one.headers["Range"].removeprefix("bytes=").split("-") for one in hub.requests("/lfs/")]
    assert max(int(end) - int(begin) for begin, end in read) < 128 * 1024
    assert TOKEN not in (tmp_path / "out.json").read_text()


@pytest.mark.slow
def test_a_line_that_is_wrong_is_named_by_its_number_in_the_unit(tmp_path: Path, hub: HubServer) -> None:
    """That in the file would take the download of all that is before."""
    lines = [json.dumps({"text": f"line {number} " + "word " * 40}) for number in range(1, 2001)]
    lines[1699] = '{"text": 7}'
    hub.files = {"data/a.jsonl": "\n".join(lines).encode()}
    _, job = planned(tmp_path, "out", f"{ADDRESS}/data")
    bad = next(number for number, unit in enumerate(job.units) if ends_behind(unit.part, hub.files, line=1700))
    assert bad > 0
    part = job.units[bad].part
    assert part is not None
    line = 1700 - hub.files["data/a.jsonl"].count(b"\n", 0, part.begin)
    hub.asked.clear()
    with pytest.raises(BadInput, match=rf"a\.jsonl, from byte {part.begin} on: line {line}: "):
        do_unit(job, bad, workers=1)
    ranges = [value for asked in hub.asked for name, value in asked.headers.items() if name.lower() == "range"]
    starts = [int(each.removeprefix("bytes=").partition("-")[0]) for each in ranges]
    assert min(starts) >= part.begin - 1


def ends_behind(part: Part | None, made: dict[str, bytes], *, line: int) -> bool:
    return part is not None and made["data/a.jsonl"].count(b"\n", 0, part.end) >= line


@pytest.mark.slow
def test_a_file_that_changed_since_it_was_planned(tmp_path: Path, hub: HubServer) -> None:
    hub.files = corpus("jsonl")
    _, job = planned(tmp_path, "out", f"{hub.cdn}/web/data/part-0.jsonl")
    hub.etags["data/part-0.jsonl"] = "another"
    with pytest.raises(Changed, match=r"part-0\.jsonl is not the same file"):
        do_unit(job, 1, workers=1)


@pytest.mark.slow
def test_the_commands(tmp_path: Path, hub: HubServer) -> None:
    """As a person types them: plan, work, finish; then `prepare --job` shows the same result."""
    hub.files = corpus("small groups")
    folder = on_disk(tmp_path / "disk", hub.files)
    for line in (
        f"prepare {folder}/data --out alone",
        f"prepare {ADDRESS}/data --out out --job-only --unit-size 150KB",
        "work job.json --unit 1",
        "work job.json",
        "finish job.json",
    ):
        run = run_oomguard(*line.split(), cwd=tmp_path)
        assert run.returncode == 0, run.stderr
    assert files(tmp_path / "out") == files(tmp_path / "alone")


def test_a_job_that_is_continued_keeps_its_commit(tmp_path: Path, hub: HubServer) -> None:
    """As `prepare --cluster` does it: the branch may have moved, and is not asked for again."""
    hub.files = corpus("text")
    options = PrepareOptions(inputs=(f"{ADDRESS}/data",), out=tmp_path / "out")
    job, path = plan_within(options, unit_bytes=UNIT)
    assert len(hub.requests(f"^/api/datasets/{REPOSITORY}$")) == 1
    again, where = plan_within(options, unit_bytes=UNIT)
    assert (again, where) == (read_job(path), path)
    assert again.sha256 == job.sha256
    assert len(hub.requests(f"^/api/datasets/{REPOSITORY}$")) == 1


def test_so_does_one_with_a_cache_behind_a_link(tmp_path: Path, hub: HubServer) -> None:
    hub.files = {"data/a.txt": b"some text\n" * 100}
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    options = PrepareOptions(
        inputs=(f"{ADDRESS}/data",), out=tmp_path / "out", cache=str(tmp_path / "link/kept"), val_fraction="0"
    )
    job, _ = plan_within(options)
    assert job.sources[0].path.startswith(str(tmp_path / "link/kept"))
    again, _ = plan_within(options)
    assert again.sha256 == job.sha256
    assert len(hub.requests(f"^/api/datasets/{REPOSITORY}$")) == 1
