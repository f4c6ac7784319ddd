"""`oomguard plan` as people see it. `pytest --update-screens` rewrites tests/screens."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.properties import some_of

Run = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[[str, str], None]

TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom. \U0001f642\n" * 100_000
SMALL = TEXT[: len(TEXT) // 8]  # where it does not matter how much it is
ESCAPE = "\x1b"
SIZE = r"[\d.]+ [KMGT]?i?B"


def steady(screen: str) -> str:
    """Replace what differs between two runs and two machines."""
    screen = re.sub(r"(peak +).*\n( +of the input\n)?", r"\1<peak>\n", screen)
    # Beside other programs a second time is told, on a line that goes on.
    screen = re.sub(r"(time +).*(?:\n {9}.*)*", r"\1<time>", screen)
    screen = re.sub(r"(workers +).*", r"\1<workers>", screen)
    screen = re.sub(r"(budget +)512 MiB \(--max-rss; .*\)", r"\g<1>512 MiB (--max-rss; <who>)", screen)
    screen = re.sub(rf"needed, {SIZE} free", "needed, <free> free", screen)
    screen = re.sub(r"job, [\d.]+ s", "job, <time>", screen)
    return re.sub(rf"here  {SIZE} \(.*\)", "here  <memory>", screen)


def test_a_plan_is_tried_and_leaves_nothing_behind(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("plan", "train.txt", "--max-rss", "512M", "--out", "mine")
    assert run.returncode == 0, run.stderr
    check_screen("plan.txt", steady(run.stdout))
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]
    assert [line for line in run.stdout.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("input_format", "text"), [("csv", 'id,text\n1,It was\n2,"the best, of"\n'), ("json", '[{"text": "It was"}]')]
)
def test_any_format_may_be_named(oomguard: Run, tmp_path: Path, input_format: str, text: str) -> None:
    """As for prepare, and the next command names it too."""
    (tmp_path / "corpus").write_text(text)
    run = oomguard("plan", "corpus", "--input-format", input_format)
    assert run.returncode == 0, run.stderr
    command = run.stdout.partition("next:\n")[2].split()
    assert command[:4] == ["oomguard", "prepare", "corpus", "--out"]
    assert command[-2:] == ["--input-format", input_format]


def test_json_is_one_object_with_all_that_was_promised(oomguard: Run, tmp_path: Path) -> None:
    """Without the short runs; --encoding and --separator go on into the command."""
    (tmp_path / "train.txt").write_text(SMALL)
    flags = ("--no-calibration", "--json", "--encoding", "r50k_base", "--separator", "\n", "--format", "npy")
    plan = json.loads(oomguard("plan", "train.txt", "--max-rss", "300M", *flags).stdout)
    assert plan["schema"] == "oomguard.plan/1"
    assert plan["forecast"] is None
    assert plan["tokens"]["low"] <= plan["tokens"]["value"] <= plan["tokens"]["high"]
    assert plan["corpus"]["text_bytes"]["value"] == len(SMALL.encode())
    assert plan["prepare"]["budget"] == 300 << 20
    assert plan["prepare"]["workers"] >= 1
    assert {"name", "needs", "fits", "dies_at", "machine_gib", "swap"} <= plan["naive"][0].keys()
    command = ["oomguard", "run", "--max-rss", "300M", "prepare", "train.txt", "--out", "tokens"]
    assert plan["command"][: len(command)] == command
    again = oomguard(*plan["command"][1:], "--json", "--quiet")
    assert again.returncode == 0, again.stderr
    made = json.loads(again.stdout)
    assert plan["tokens"]["low"] <= made["tokens"] <= plan["tokens"]["high"] + made["documents"]


def test_a_percentage_is_a_budget_as_it_is_for_run(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(SMALL)
    plan = plan_of(oomguard("plan", "train.txt", "--max-rss", "80%", "--no-calibration", "--json"))
    assert 64 << 20 < plan["prepare"]["budget"] < psutil.virtual_memory().total


def test_a_budget_that_is_not_enough_names_the_one_that_is(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(SMALL)
    run = oomguard("plan", "train.txt", "--max-rss", "20M")
    assert run.returncode == 1
    assert "needs at least" in run.stderr
    assert "--max-rss" in run.stderr


def test_wrong_inputs_are_errors_with_a_next_step(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("")
    for arguments in (["missing.txt"], ["empty.txt"], ["-"], ["empty.txt", "--max-rss", "much"]):
        run = oomguard("plan", *arguments, "--no-calibration")
        assert run.returncode == 1, arguments
        assert "try: " in run.stderr
        assert "Traceback" not in run.stderr


def test_options_that_only_prepare_has_are_called_so(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"hello \xff\xfe world\n" * 100)
    run = oomguard("plan", "bad.txt", "--no-calibration")
    assert run.returncode == 1
    assert "byte 6: not UTF-8\n" in run.stderr
    assert "--errors skip (leaves it out): options of prepare, which plan does not take" in run.stderr


def test_a_hostile_name_does_nothing_on_the_screen(oomguard: Run, tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07[red].txt"
    (tmp_path / name).write_text(TEXT[:100_000])
    run = oomguard("plan", name, "--no-calibration")
    assert run.returncode == 0, run.stderr
    assert ESCAPE not in run.stdout + run.stderr
    assert "[red]" in run.stdout


CHINESE = "你好世界。" * 600_000  # 9 MB without a space or a line feed
BOOKS = "".join(json.dumps({"text": "It was the best of times. " * 120_000}) + "\n" for _ in range(6))


def plan_of(run: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert run.returncode == 0, run.stderr
    found: dict[str, object] = json.loads(run.stdout)
    return found


@pytest.mark.parametrize(
    ("name", "content"),
    some_of([
        ("zh.txt", CHINESE),
        ("one-line.txt", "word " * 2_000_000),
        ("mixed.txt", "plain words " * 200_000 + "中文" * 500_000),
        ("emoji.txt", "\U0001f642" * 800_000),
        ("books.jsonl", BOOKS),
        ("deep.jsonl", '{"text": "flat", "nested": ' + "[" * 60_000 + "]" * 60_000 + "}\n"),
    ], one_in=2),
)  # fmt: skip
def test_what_prepare_takes_is_planned_and_counted(oomguard: Run, tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    plan = plan_of(oomguard("plan", name, "--max-rss", "300M", "--json"))
    made = json.loads(oomguard("run", "--max-rss", "300M", "prepare", name, "--json", "--quiet").stdout)
    assert plan["tokens"] == {"value": made["tokens"], "low": made["tokens"], "high": made["tokens"]}
    assert plan["forecast"]["peak_low"] <= made["peak_unreclaimable"] <= plan["forecast"]["peak_high"]
    untried = plan_of(oomguard("plan", name, "--max-rss", "300M", "--json", "--no-calibration", "--out", "other"))
    assert untried["tokens"] == plan["tokens"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.parquet", pa.table({"content": ["x"]}), 'no column "text"; the columns are: "content"'),
        ("nulls.parquet", pa.table({"text": ["x", None]}), 'null in the column "text"'),
        ("latin.txt", "déjà vu\n".encode("latin-1") * 1000, "not UTF-8"),
        ("wide.txt", ("abc\n" * 1000).encode("utf-16"), "not UTF-8: it looks like utf-16"),
        ("bad.jsonl", b'{"text": "one"}\n{"text": \n', "not JSON"),
        ("other.jsonl", b'{"content": "one"}\n', 'no field "text"; the fields are: "content"'),
    ],
)
def test_what_prepare_refuses_is_refused_in_its_words(
    oomguard: Run, tmp_path: Path, name: str, content: object, said: str
) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    else:
        pq.write_table(content, tmp_path / name)
    for command in (("plan", name), ("plan", name, "--no-calibration"), ("prepare", name, "--quiet")):
        run = oomguard(*command)
        assert run.returncode == 1, command
        assert said in run.stderr, command
        assert name in run.stderr
        assert ".oomguard-plan" not in run.stderr
        assert "next:" not in run.stdout


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB."""
    (folder := tmp_path / "disk").mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=False)
    if made.returncode:
        pytest.skip("needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_too_small_is_no_next_step(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "train.txt").write_text(TEXT * 3)
    run = subprocess.run(
        [sys.executable, "-m", "oomguard", "plan", "train.txt", "--out", str(small_disk / "out")],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert "NOT ENOUGH" in run.stdout
    assert "cannot be done here" in run.stdout
    assert "next:" not in run.stdout
    assert list(small_disk.iterdir()) == []


def test_tokens_that_all_go_to_validation_are_noted(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(SMALL)
    said = " ".join(oomguard("plan", "train.txt", "--format", "llmc", "--max-rss", "300M").stdout.split())
    assert said.count("nothing would be left to train on") == 1


@pytest.mark.slow
@pytest.mark.parametrize("number", [*some_of([signal.SIGTERM, signal.SIGHUP, signal.SIGINT], one_in=3), signal.SIGKILL])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """Of a kill, the next plan cleans up."""
    (tmp_path / "train.txt").write_text(TEXT * 6)
    command = [sys.executable, "-m", "oomguard", "plan", "train.txt", "--max-rss", "300M"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        until = time.monotonic() + 60
        while not (made := list(tmp_path.glob(".oomguard-plan-*"))) and time.monotonic() < until:
            time.sleep(0.005)
        assert made
        child.send_signal(number)
    assert child.returncode in (-number, 128 + number)
    if number == signal.SIGKILL:
        subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]


@pytest.mark.slow
def test_a_line_that_prepare_would_refuse_is_told_before(oomguard: Run, tmp_path: Path) -> None:
    """It is among short ones, so that a part of the input has none like it."""
    short = json.dumps({"text": "the quick brown fox jumps over the lazy dog. " * 20}) + "\n"
    with (tmp_path / "in.jsonl").open("w") as file:
        file.write(short * 12_000)
        file.write(json.dumps({"text": "word " * 12_000_000}) + "\n")
        file.write(short * 12_000)
    run = oomguard("plan", "in.jsonl", "--max-rss", "220M")
    assert run.returncode == 1
    assert "prepare would fail: a line of about 57.2 MiB is in the input" in run.stderr
    assert "--max-rss" in run.stderr
