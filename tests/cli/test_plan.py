"""`oomguard plan` as people see it. `pytest --update-screens` rewrites tests/screens."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[[str, str], None]

TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom. \U0001f642\n" * 100_000
ESCAPE = "\x1b"
SIZE = r"[\d.]+ [KMGT]?i?B"


def steady(screen: str) -> str:
    """Replace what differs between two runs and two machines."""
    screen = re.sub(r"(peak +).*", r"\1<peak>", screen)
    screen = re.sub(r"(time +).*", r"\1<time>", screen)
    screen = re.sub(r"(workers +).*", r"\1<workers>", screen)
    screen = re.sub(r"(budget +)512 MiB \(--max-rss; .*\)", r"\g<1>512 MiB (--max-rss; <who>)", screen)
    screen = re.sub(rf"needed, {SIZE} free", "needed, <free> free", screen)
    screen = re.sub(r"input, [\d.]+ s", "input, <time>", screen)
    return re.sub(rf"here: {SIZE} \(.*\)", "here: <memory>", screen)


def test_a_plan_is_tried_and_leaves_nothing_behind(oomguard: Run, tmp_path: Path, check_screen: Check) -> None:
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("plan", "train.txt", "--max-rss", "512M", "--out", "mine")
    assert run.returncode == 0, run.stderr
    check_screen("plan.txt", steady(run.stdout))
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]
    assert [line for line in run.stdout.splitlines() if len(line) > 80] == []


def test_json_is_one_object_with_all_that_was_promised(oomguard: Run, tmp_path: Path) -> None:
    """Without the short runs; --encoding and --separator go on into the command."""
    (tmp_path / "train.txt").write_text(TEXT)
    flags = ("--no-calibration", "--json", "--encoding", "r50k_base", "--separator", "\n", "--format", "npy")
    plan = json.loads(oomguard("plan", "train.txt", "--max-rss", "300M", *flags).stdout)
    assert plan["schema"] == "oomguard.plan/1"
    assert plan["forecast"] is None
    assert plan["tokens"]["low"] <= plan["tokens"]["value"] <= plan["tokens"]["high"]
    assert plan["corpus"]["text_bytes"]["value"] == len(TEXT.encode())
    assert plan["prepare"]["budget"] == 300 << 20
    assert plan["prepare"]["workers"] >= 1
    assert {"name", "needs", "fits", "dies_at", "machine_gib", "swap"} <= plan["naive"][0].keys()
    command = ["oomguard", "run", "--max-rss", "300M", "prepare", "train.txt", "--out", "tokens"]
    assert plan["command"][: len(command)] == command
    again = oomguard(*plan["command"][1:], "--json", "--quiet")
    assert again.returncode == 0, again.stderr
    made = json.loads(again.stdout)
    assert plan["tokens"]["low"] <= made["tokens"] <= plan["tokens"]["high"] + made["documents"]


def test_a_budget_that_is_not_enough_names_the_one_that_is(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(TEXT)
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


def test_a_hostile_name_does_nothing_on_the_screen(oomguard: Run, tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07[red].txt"
    (tmp_path / name).write_text(TEXT[:100_000])
    run = oomguard("plan", name, "--no-calibration")
    assert run.returncode == 0, run.stderr
    assert ESCAPE not in run.stdout + run.stderr
    assert "[red]" in run.stdout
