"""The result of a run, for people and for programs."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from oomguard.preparation.model import PreparePlan, Shard, ShardSet

MADE = ShardSet(
    tokens=2_000_000_000, documents=1, input_bytes=9 << 30, shards=(Shard(path="train.bin", split="train", tokens=1_999_999_990, sha256="ab"), Shard(path="val.bin", split="val", tokens=10, sha256="cd")),
    encoding="gpt2", format="nanogpt", token_bytes=2, wall_seconds=3725.4, bytes_per_second=2_594_000, budget=1 << 30, peak_unreclaimable=900 << 20,
    peak_rss=200 << 20, enforced_by="cgroup v2", verified_documents=1, verified_bytes=5 << 20, repaired_bytes=0, left_out=0, restarted_workers=0,
    folder="/data/mine", notes=(), next_lines=("next: in a nanoGPT checkout:", "  python train.py --dataset=mine"),
)  # fmt: skip
PLAN = PreparePlan(
    inputs=({"path": "a.txt", "size": 5 << 20, "kind": "text", "compression": None},), folder="tokens", format="npy", encoding="gpt2", token_bytes=2,
    budget=1 << 30, limited_by="--max-rss; cgroup v2", workers=2, piece_bytes=1 << 20, longest_word=4 << 20, largest_document=500 << 20, sum=60 << 20,
    estimated_output_bytes=2 << 20, free_disk_bytes=9 << 30, done_bytes=0,
)  # fmt: skip


def shown(result: ShardSet | PreparePlan, *, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, soft_wrap=True, force_terminal=True, color_system="truecolor")
    console.print(result.render())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_screen_says_what_where_how_fast_and_within_what() -> None:
    screen = shown(MADE)
    for words in ("/data/mine", "9.0 GiB", "1 document", "2,000,000,000 tokens", "train.bin", "2.5 MiB/s", "900 MiB", "1.0 GiB", "cgroup v2",
                  "5.0 MiB encoded again", "python train.py --dataset=mine"):  # fmt: skip
        assert words in screen, words
    assert "repaired" not in screen
    assert "left out" not in screen


def test_what_went_wrong_is_not_hidden() -> None:
    made = replace(MADE, repaired_bytes=3, left_out=7, verified_bytes=0, notes=("a note",), already_done=True)
    screen = shown(replace(made, verify="off"))
    for words in ("repaired", "3 bytes", "left out", "7 lines", "--verify off", "a note", "already done"):
        assert words in screen, words
    for verify in ("sample", "full", ""):
        screen = shown(replace(made, verify=verify))
        assert "checked       nothing" in screen
        assert "--verify off" not in screen
    assert "5.0 MiB of 9.0 GiB encoded again" in shown(replace(MADE, verify="full"))


@pytest.mark.parametrize("hostile", ["\x1b]0;owned\x07", "[bold red]x[/]", "a\nb", "\u202egnp", "\udcff"])
def test_names_are_neither_markup_nor_escapes(hostile: str) -> None:
    """What somebody called a folder or a file does nothing to the terminal."""
    for screen in (
        shown(replace(MADE, folder=f"/data/{hostile}")),
        shown(replace(PLAN, folder=hostile, inputs=({**PLAN.inputs[0], "path": hostile},))),
    ):
        assert "\x1b" not in screen
        assert "\x07" not in screen
        assert "\u202e" not in screen
        assert "a\nb" not in screen
        assert hostile != "[bold red]x[/]" or hostile in screen


def test_empty_run_divides_by_nothing() -> None:
    screen = shown(replace(MADE, tokens=0, documents=0, input_bytes=0, shards=(), wall_seconds=0.0, bytes_per_second=0))
    assert "0 documents" in screen


def test_many_shards_are_counted() -> None:
    shards = tuple(
        Shard(path=f"x_train_{number:06d}.npy", split="train", tokens=10, sha256="") for number in range(100)
    )
    screen = shown(replace(MADE, format="npy", shards=shards))
    assert "and 94 more" in screen
    assert screen.count("\n") < 30


def test_json_keeps_its_promise() -> None:
    """Keys and types change only with the schema's number."""
    result = json.loads(json.dumps(MADE.to_json()))
    assert result["schema"] == "oomguard.shard_set/1"
    assert result["shards"][0] == {"path": "train.bin", "split": "train", "tokens": 1_999_999_990, "sha256": "ab"}
    promised = {"tokens": int, "documents": int, "input_bytes": int, "encoding": str, "format": str, "wall_seconds": float, "bytes_per_second": int,
                "budget": int, "peak_unreclaimable": int, "peak_rss": int, "enforced_by": str, "verified_documents": int}  # fmt: skip
    assert {key: type(result[key]) for key in promised} == promised


def test_plan_shows_every_limit() -> None:
    screen = shown(PLAN)
    for words in (
        "a.txt",
        "5.0 MiB",
        "about 2.0 MiB",
        "9.0 GiB free",
        "1.0 GiB",
        "--max-rss",
        "500 MiB",
        "4.0 MiB",
        "nothing yet",
    ):
        assert words in screen, words
    assert "size unknown" in shown(replace(PLAN, estimated_output_bytes=None))
    assert json.loads(json.dumps(PLAN.to_json()))["schema"].startswith("oomguard.prepare_plan/")
