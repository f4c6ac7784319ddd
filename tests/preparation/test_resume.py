"""Whatever ends a run on the way, the same command goes on and gives the files of an undisturbed run."""

import json
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.preparation.disturbing import FORMATS, SLOW, bytes_written, sums_of
from tests.preparation.expecting import last_checkpoint
from tests.preparation.kinds_of_input import KINDS, some_documents, write_kind
from tests.properties import some_of
from tests.running import children_of, coordinator_of, kill_all, run_oomguard, started, wait_until

pytestmark = pytest.mark.slow  # whole runs

Sums = Callable[[str], dict[str, str]]


@pytest.fixture(scope="module")
def undisturbed(corpus: Path) -> Sums:
    """The sha256 of each file that a run gives to which nothing happens."""
    made: dict[str, dict[str, str]] = {}

    def sums(kind: str) -> dict[str, str]:
        if kind not in made:
            out = corpus / f"undisturbed-{kind}"
            result = run_oomguard(
                "prepare", str(corpus / "text.txt"), "--out", str(out), *FORMATS[kind], "--json", cwd=corpus
            )
            made[kind] = {shard["path"]: shard["sha256"] for shard in json.loads(result.stdout)["shards"]}
            assert made[kind] == sums_of(out)
        return made[kind]

    return sums


def has_written(folder: Path, size: float) -> bool:
    return folder.exists() and bytes_written(folder) >= size


@pytest.mark.parametrize(
    ("name", "kind"),
    [("text.txt", "nanogpt"), ("text.txt", "undivided"), ("text.jsonl.gz", "llmc"), ("text.parquet", "nanogpt")],
)
def test_killed_again_and_again(tmp_path: Path, corpus: Path, undisturbed: Sums, name: str, kind: str) -> None:
    """SIGKILL of everything at once, at the start, in the middle, and near the end; then with other workers to the end."""
    command = ("prepare", str(corpus / name), "--out", "out", *FORMATS[kind])
    whole = bytes_written(corpus / f"undisturbed-{kind}") if undisturbed(kind) else 0
    reached = []
    for share in (0.0, 0.3, 0.8):
        with started(*command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16, checkpoint_seconds=0.01) as process:
            wait_until(partial(has_written, tmp_path / "out", share * whole))
            kill_all(process)
        reached.append(last_checkpoint(tmp_path / "out")["totals"]["tokens"] if share else 0)
    assert reached == sorted(reached)
    assert reached[-1] > reached[1] > 0  # so the runs did go on, and none began anew
    done = run_oomguard(*command, "--workers", "2", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "resuming after" in " ".join(done.stderr.split())
    assert sums_of(tmp_path / "out") == undisturbed(kind)
    assert {shard["path"]: shard["sha256"] for shard in json.loads(done.stdout)["shards"]} == undisturbed(kind)
    assert list((tmp_path / "out" / ".oomguard").glob("*.partial")) == []


OTHER_KINDS = [kind for kind in KINDS if kind not in ("text", "jsonl.gz", "parquet")]  # which are above


@pytest.mark.parametrize("kind", some_of(OTHER_KINDS, one_in=2))
def test_every_kind_of_input_resumes_within_it(tmp_path: Path, kind: str) -> None:
    """Killed in the middle of the only file, wherever that is cut; what was done is not done again."""
    name, options = write_kind(kind, tmp_path, some_documents())
    command = ("prepare", name, *options, "--val-fraction", "0.05")
    made = run_oomguard(*command, "--out", "undisturbed", "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    half = bytes_written(tmp_path / "undisturbed") / 2
    with started(*command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16, checkpoint_seconds=0.01) as process:
        wait_until(partial(has_written, tmp_path / "tokens", half))
        kill_all(process)
    reached = last_checkpoint(tmp_path / "tokens")
    assert reached is not None
    assert 0 < reached["totals"]["tokens"] < json.loads(made.stdout)["tokens"]
    done = run_oomguard(*command, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert any("were done by an earlier run" in note for note in json.loads(done.stdout)["notes"])
    assert sums_of(tmp_path / "tokens") == sums_of(tmp_path / "undisturbed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_stopped_by_a_signal(tmp_path: Path, corpus: Path, undisturbed: Sums, number: signal.Signals) -> None:
    """It ends soon, with 128 and the signal, keeps all that was done, says how to go on, and leaves no process behind."""
    command = ("prepare", str(corpus / "text.txt"), "--out", "out", *FORMATS["nanogpt"])
    with started(*command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16) as process:
        wait_until(lambda: (tmp_path / "out").exists() and bytes_written(tmp_path / "out") > 100_000)
        helpers = children_of(process)
        process.send_signal(number)
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 20
    assert process.returncode == 128 + number
    assert f"stopped: by {number.name} after" in " ".join(said.split())
    assert "try: run the same command again" in " ".join(said.split())
    assert "Traceback" not in said
    assert [helper for helper in helpers if helper.is_running() and helper.status() != psutil.STATUS_ZOMBIE] == []
    assert last_checkpoint(tmp_path / "out")["totals"]["tokens"] * 2 >= 100_000
    assert run_oomguard(*command, cwd=tmp_path).returncode == 0
    assert sums_of(tmp_path / "out") == undisturbed("nanogpt")


@pytest.mark.parametrize(
    ("name", "helper", "frozen"),
    [
        ("text.txt", "engines.worker", False),
        ("text.jsonl.gz", "engines.worker", True),
        ("text.jsonl.gz", "reader_process", False),
        ("text.jsonl.gz", "reader_process", True),
    ],
)
def test_a_helper_that_is_killed_is_replaced(
    tmp_path: Path, corpus: Path, undisturbed: Sums, name: str, helper: str, frozen: bool
) -> None:
    """At once, as the kernel's OOM killer would leave it; the tokens are the same."""
    command = ("prepare", str(corpus / name), "--out", "out", *FORMATS["llmc"], "--json")
    with started(*command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16) as process:
        wait_until(lambda: (tmp_path / "out").exists() and bytes_written(tmp_path / "out") > 100_000)
        victim = next(child for child in children_of(process) if any(helper in part for part in child.cmdline()))
        if frozen:
            victim.suspend()
            time.sleep(0.2)
        victim.kill()
        wait_until(lambda: is_gone(victim))  # waited for: no zombie
        wait_until(
            lambda: (
                any(child.create_time() > victim.create_time() for child in children_of(process))
                or process.poll() is not None
            )
        )
        shown, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert sums_of(tmp_path / "out") == undisturbed("llmc")
    assert helper == "reader_process" or json.loads(shown)["restarted_workers"] >= 1


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running()


def test_a_second_run_in_the_folder_is_refused(tmp_path: Path, corpus: Path, undisturbed: Sums) -> None:
    """And does the first one no harm."""
    command = ("prepare", str(corpus / "text.txt"), "--out", "out", *FORMATS["nanogpt"])
    with started(*command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16) as process:
        wait_until(lambda: (tmp_path / "out").exists() and bytes_written(tmp_path / "out") > 100_000)
        coordinator = coordinator_of(process)
        assert coordinator is not None
        coordinator.suspend()  # so that it cannot end before the second one asks
        for flags in ((), ("--restart",)):
            second = run_oomguard(*command, *flags, cwd=tmp_path)
            assert second.returncode == 1
            assert "error: another oomguard prepare is working in out" in " ".join(second.stderr.split())
        coordinator.resume()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert sums_of(tmp_path / "out") == undisturbed("nanogpt")


def test_standard_input_goes_on_where_it_was(tmp_path: Path, corpus: Path, undisturbed: Sums) -> None:
    """The same text, given again, is read past what was done; another text is refused."""
    command = ("prepare", "-", "--out", "out", *FORMATS["nanogpt"])
    with started(
        *command, *SLOW, cwd=tmp_path, piece_bytes=1 << 16, checkpoint_seconds=0.01, stdin=corpus / "text.txt"
    ) as process:
        wait_until(lambda: (tmp_path / "out").exists() and bytes_written(tmp_path / "out") > 300_000)
        kill_all(process)
    text = (corpus / "text.txt").read_bytes()
    (tmp_path / "other.txt").write_bytes(b"X" + text[1:])
    with started(*command, cwd=tmp_path, stdin=tmp_path / "other.txt") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "not those that the earlier run read" in said
    with started(*command, cwd=tmp_path, stdin=corpus / "text.txt") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "resuming after" in said
    assert sums_of(tmp_path / "out") == undisturbed("nanogpt")


def test_nothing_is_done_twice_and_soon_ended_runs_do_no_harm(tmp_path: Path, corpus: Path, undisturbed: Sums) -> None:
    """Killed within the first moments, seven times: while it starts, makes its folder, takes the lock, begins to write."""
    command = ("prepare", str(corpus / "text.txt"), "--out", "out", *FORMATS["llmc"])
    for number in range(7):
        with started(*command, cwd=tmp_path) as process:
            time.sleep(0.06 * number)
            kill_all(process)
    assert run_oomguard(*command, cwd=tmp_path).returncode == 0
    assert sums_of(tmp_path / "out") == undisturbed("llmc")


@pytest.mark.parametrize("name", ["text.txt", "text.jsonl.gz"])
def test_helpers_end_with_the_coordinator(tmp_path: Path, corpus: Path, name: str) -> None:
    """Killed alone, it leaves no process behind that holds memory or the output folder."""
    with started(
        "prepare", str(corpus / name), "--out", "out", *FORMATS["llmc"], *SLOW, cwd=tmp_path, piece_bytes=1 << 16
    ) as process:
        wait_until(lambda: (tmp_path / "out").exists() and bytes_written(tmp_path / "out") > 100_000)
        helpers = children_of(process)
        assert helpers
        process.kill()
        process.wait()
        wait_until(lambda: not any(is_alive(helper) for helper in helpers))


def is_alive(process: psutil.Process) -> bool:
    """Also a zombie has ended: who adopted it may take its time."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
