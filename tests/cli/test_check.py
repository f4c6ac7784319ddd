"""`oomguard check` as people see it. `pytest --update-screens` rewrites tests/screens."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Check = Callable[[str, str], None]

SCRIPTS = Path("tests/script_analysis/scripts").absolute()
TEXT = "It was the best of times, it was the worst of times. \U0001f642\n" * 2000
ESCAPE = "\x1b"


def steady(screen: str) -> str:
    """Replace what differs between two machines."""
    screen = re.sub(r"^[\d.]+ [KMGT]iB available \(.*\)", "<room> available (<limit>)", screen, flags=re.MULTILINE)
    return re.sub(r"(enough for|beyond) [\d.]+ [KMGT]iB", r"\1 <size>", screen)


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], str]:
    def copy(name: str) -> str:
        shutil.copy(SCRIPTS / name, tmp_path / "prepare.py")
        return "prepare.py"

    return copy


def without_marks(file: Path) -> None:
    file.write_text(re.sub(r"  # (FINDING|UNSEEN).*", "", file.read_text()))


def test_a_script_with_findings(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path, check_screen: Check
) -> None:
    script("holding/chunks_into_one_list.py")
    without_marks(tmp_path / "prepare.py")
    run = oomguard("check", "prepare.py")
    assert run.returncode == 1, run.stderr
    check_screen("check.txt", steady(run.stdout))


def test_a_script_with_its_input(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path, check_screen: Check
) -> None:
    script("holding/shakespeare_whole.py")
    without_marks(tmp_path / "prepare.py")
    (tmp_path / "train.txt").write_text(TEXT)
    run = oomguard("check", "prepare.py", "--input", "train.txt")
    assert run.returncode == 0, run.stderr
    check_screen("check-input.txt", steady(run.stdout))


def test_what_does_not_fit_ends_with_1_and_says_by_how_much(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path
) -> None:
    """Four terabytes of zeros on no disk: a sparse file; what is read of it is text."""
    script("holding/chunks_into_one_list.py")
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(1 << 42)
    run = oomguard("check", "prepare.py", "--input", "huge.txt", "--json")
    assert run.returncode == 1, run.stderr
    result = json.loads(run.stdout)
    assert result["fits"] is False
    assert result["verdict"] == "does not fit"
    assert result["short_bytes"] == result["needed_bytes"] - result["available_bytes"] > 0
    assert result["findings"][0]["line"] == 16
    shown = oomguard("check", "prepare.py", "--input", "huge.txt")
    assert shown.returncode == 1
    assert "does not fit: needs" in shown.stdout
    assert "next: oomguard plan huge.txt" in shown.stdout


def test_a_script_that_streams(oomguard: Run, script: Callable[[str], str], check_screen: Check) -> None:
    run = oomguard("check", script("clean/pool_imap.py"))
    assert run.returncode == 0
    check_screen("check-clean.txt", re.sub(r"about .* MiB for", "about <size> for", run.stdout))


def test_a_script_that_cannot_be_seen_through(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path, check_screen: Check
) -> None:
    script("kinds/foreign_container.py")
    without_marks(tmp_path / "prepare.py")
    run = oomguard("check", "prepare.py")
    assert run.returncode == 3
    check_screen("check-cannot-say.txt", steady(run.stdout))
    assert json.loads(oomguard("check", "prepare.py", "--json").stdout)["fits"] is None


def test_json_keeps_the_keys_of_the_first_schema(oomguard: Run, script: Callable[[str], str]) -> None:
    """Those of oomguard.check/1, as 0.1 documented them."""
    result = json.loads(oomguard("check", script("holding/shakespeare_whole.py"), "--json").stdout)
    assert result["schema"] == "oomguard.check/2"
    assert {
        "script", "input", "findings", "peak_per_byte", "peak_line", "fixed_bytes", "needed_bytes", "available_bytes",
        "limited_by", "fits", "short_bytes", "largest_input_bytes",
    } <= result.keys()  # fmt: skip
    assert {
        "line", "code", "rule", "why", "do", "held_per_byte", "peak_per_byte", "disk_per_byte", "fixed_bytes",
        "held_bytes", "peak_bytes", "each_file",
    } <= result["findings"][0].keys()  # fmt: skip
    assert result["needed_bytes"] is None
    assert result["fits"] is None
    assert result["largest_input_bytes"] > 0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.ipynb", b"{}", "is not a notebook"),
        ("a.ipynb", b'{"cells": [{"cell_type": "code", "source": "def f(:"}]}', "is not Python 3"),
        ("a.py", b"def f(:\n", "line 1 is not Python 3"),
        ("a.py", b"x = 1\0", "is not Python 3"),
        ("a.py", b"\xff\xfe", "is not Python 3"),
        ("a.py", b"x = " + b"(" * 5000, "a.py"),
        ("a.py", b"#" * (9 << 20), "is not read"),
    ],
)
def test_what_is_no_script_is_an_error_and_not_a_traceback(
    oomguard: Run, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    run = oomguard("check", name)
    assert run.returncode == 2
    assert says in run.stderr
    assert "Traceback" not in run.stderr
    assert "try: " in run.stderr


def test_what_has_no_end_is_never_read(oomguard: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    with (tmp_path / "long.py").open("wb") as file:
        file.truncate(1 << 30)
    for name in ("/dev/zero", "pipe.py", "long.py", "."):
        run = oomguard("check", name)
        assert run.returncode == 2
        assert "Traceback" not in run.stderr
    assert "not a regular file" in oomguard("check", "pipe.py").stderr


@pytest.mark.parametrize("args", [(), ("a.py", "-m", "a"), ("missing.py",), ("-m", "missing"), ("-m", "../a")])
def test_wrong_arguments_end_with_2(oomguard: Run, args: tuple[str, ...]) -> None:
    run = oomguard("check", *args)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr


def test_a_notebook_says_the_cell_and_its_line(oomguard: Run, tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": "# Prepare"},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "!pip install x\n", "import json\n", "files = !ls"]},
        {"cell_type": "code", "source": "%%bash\nfor x in *; do echo $x; done"},
        {"cell_type": "code", "source": "docs = []\nfor line in open('in.txt'):\n    docs.append(line)\n"},
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4}))
    run = oomguard("check", "a.ipynb")
    assert run.returncode == 1, run.stderr
    assert "cell 4, line 3  docs.append(line)" in run.stdout
    assert json.loads(oomguard("check", "a.ipynb", "--json").stdout)["findings"][0]["cell"] == 4


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that reads in one module and keeps in another."""
    folder = tmp_path / "prep"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "__main__.py").write_text(
        "from . import store\nfrom .reading import lines\n\nstore.fill(lines('in.txt'))\n"
    )
    (folder / "store.py").write_text(
        "KEPT = []\n\n\ndef fill(lines):\n    for line in lines:\n        KEPT.append(line)\n"
    )
    (folder / "reading.py").write_text("def lines(path):\n    with open(path) as f:\n        yield from f\n")
    return folder


def test_the_entry_of_a_package_and_its_modules_are_followed(oomguard: Run, package: Path) -> None:
    run = oomguard("check", "-m", "prep")
    assert run.returncode == 1, run.stderr
    assert "prep/store.py, line 6  KEPT.append(line)" in run.stdout
    (package / "store.py").write_text("def fill(lines):\n    for line in lines:\n        print(line)\n")
    streams = oomguard("check", "-m", "prep")
    assert streams.returncode == 0, streams.stdout


def test_modules_beside_the_script_are_followed(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "helpers.py").write_text(
        "def load(path):\n    return open(path).read()\n\n\ndef unused(p):\n    return open(p).read()\n"
    )
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "a.py").write_text("import helpers\ntext = helpers.load('in.txt')\n")
    findings = json.loads(oomguard("check", "a.py", "--json").stdout)["findings"]
    assert [(finding["file"], finding["line"], finding["function"]) for finding in findings] == [
        ("helpers.py", 2, "load")
    ]
    (tmp_path / "a.py").write_text("import broken\nfor line in open('in.txt'):\n    print(line)\n")
    run = oomguard("check", "a.py")
    assert run.returncode == 3
    assert "broken.py" in run.stdout


def test_a_pin_lets_known_findings_pass_and_new_ones_fail(
    oomguard: Run, script: Callable[[str], str], tmp_path: Path
) -> None:
    script("holding/sorted_file.py")
    first = oomguard("check", "prepare.py", "--pin", "pins.json")
    assert first.returncode == 0, first.stderr
    pins = json.loads((tmp_path / "pins.json").read_text())
    assert pins["schema"] == "oomguard.check-pin/1"
    assert [pin.keys() for pin in pins["findings"]] == [{"file", "function", "text", "kind"}]
    moved = "# a new first line\n" + (tmp_path / "prepare.py").read_text()
    (tmp_path / "prepare.py").write_text(moved)
    assert oomguard("check", "prepare.py", "--pin", "pins.json").returncode == 0
    (tmp_path / "prepare.py").write_text(moved + "text = open('b.txt').read()\n")
    new = oomguard("check", "prepare.py", "--pin", "pins.json")
    assert new.returncode == 1
    assert "text = open('b.txt').read()" in new.stderr
    assert json.loads((tmp_path / "pins.json").read_text()) == pins
    (tmp_path / "pins.json").write_text("mine")
    assert oomguard("check", "prepare.py", "--pin", "pins.json").returncode == 2
    assert (tmp_path / "pins.json").read_text() == "mine"


def records() -> list[dict[str, str]]:
    return [{"question": f"What is {number}?", "answer": "It is " + "a number " * 40} for number in range(2000)]


@pytest.mark.parametrize("name", ["in.jsonl", "in.json", "indented.json"])
def test_the_input_may_be_what_a_script_takes(oomguard: Run, tmp_path: Path, name: str) -> None:
    """JSON arrays, and records without a field "text": every text in them counts."""
    texts = {
        "in.jsonl": "\n".join(map(json.dumps, records())),
        "in.json": json.dumps(records()),
        "indented.json": json.dumps(records(), indent=2),
    }
    (tmp_path / name).write_text(texts[name])
    (tmp_path / "a.py").write_text(f"import json\nrows = [json.loads(line) for line in open({name!r})]\n")
    result = json.loads(oomguard("check", "a.py", "--input", name, "--json").stdout)
    every = sum(len(record["question"]) + len(record["answer"]) for record in records())
    assert result["input"]["text_bytes"] == pytest.approx(every, rel=0.03)


def test_the_text_field_may_be_named(oomguard: Run, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, records())))
    (tmp_path / "a.py").write_text("import json\nrows = [json.loads(line)['answer'] for line in open('in.jsonl')]\n")
    result = json.loads(oomguard("check", "a.py", "--input", "in.jsonl", "--text-field", "answer", "--json").stdout)
    assert result["input"]["text_bytes"] == pytest.approx(sum(len(record["answer"]) for record in records()), rel=0.03)
    wrong = oomguard("check", "a.py", "--input", "in.jsonl", "--text-field", "nope")
    assert wrong.returncode == 2
    assert "nope" in wrong.stderr


def test_hostile_names_and_code_do_nothing_on_the_screen(oomguard: Run, tmp_path: Path) -> None:
    name = "a\x1b]0;owned\x07[red].py"
    (tmp_path / name).write_text("x = open('a\x1b[31m.txt').read()  # [bold]\x9b1m\n")
    run = oomguard("check", name)
    assert run.returncode == 1, run.stderr
    assert ESCAPE not in run.stdout + run.stderr
    assert "\x9b" not in run.stdout
    assert "[red]" in run.stdout
    assert "[bold]" in run.stdout
    missing = oomguard("check", name + "x")
    assert ESCAPE not in missing.stderr


def test_no_line_is_wider_than_80_columns(oomguard: Run, script: Callable[[str], str]) -> None:
    for name in ("holding/shakespeare_whole.py", "holding/local_dataset.py", "holding/write_tolist.py"):
        run = oomguard("check", script(name))
        assert [line for line in run.stdout.splitlines() if len(line) > 80] == []
