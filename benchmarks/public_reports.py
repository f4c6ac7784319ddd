"""Would oomguard have led the people who wrote these reports to the cause, and to a cure that works?

`python -m benchmarks.public_reports [--only NAME ...]`: for each public report there is a small program of its kind in
`reports/`, in which the lines that are to blame end with "# cause", and the program with the cure applied. Each is
given to `check`, `profile` and `run`, and killed by the kernel once for `diagnose`; then the cured one is run under the
same budget. Exits with 1 if fewer than nine in ten are led to cause and cure. Needs root; programs whose packages are
missing are left out, and named.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

REPORTS = Path(__file__).parent / "reports"
MIB = 1 << 20
ENOUGH = 0.9


@dataclass(frozen=True, kw_only=True)
class Report:
    """A thread, and what its author would have to be told."""

    said: str  # where
    budget: int  # MiB
    cure: str  # what `check` or `run` must say, as a pattern
    given: str = ""  # the input
    needs: str = ""  # a package, or a program
    command: tuple[str, ...] = ()  # of what is run; {} is the program
    environment: dict[str, str] = field(default_factory=dict)  # that is the cure, where it is no change in the program


PYTHON = (sys.executable, "{}")
WRITE_OUT = r"write .* out|drop it"
ALL = {
    "bert": Report(said="google-research/bert #117 #784", given="in.txt", budget=100, cure=WRITE_OUT),
    "workers_copy": Report(said="pytorch #13246 #20433", given="in.txt", budget=130, cure="numpy array or an Arrow"),
    "joblib_job": Report(said="joblib #812", budget=200, cure=WRITE_OUT, needs="joblib"),
    "imap_slow": Report(said="cpython #101586 #64192", budget=64, cure="semaphore"),
    "datasets_map": Report(said="datasets #6814 #2256 #2559", budget=290, cure="writer_batch_size", needs="datasets"),
    "tokenizers_train": Report(
        said="tokenizers #1170 #994", given="in.txt", budget=120, cure="pre_tokenizer", needs="tokenizers"
    ),
    "sentencepiece_train": Report(
        said="sentencepiece #708 #655", given="in.txt", budget=90, cure="input_sentence_size", needs="sentencepiece"
    ),
    "pandas_merge": Report(
        said="a page on pandas merges that blow up", budget=150, cure="drop_duplicates", needs="pandas"
    ),
    "pytest_cache": Report(
        said="pytest #619, GaNDLF #437", budget=150, cure=r"write .* out|drop it|maxsize|cache", needs="pytest",
        command=(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "{}"),
    ),
    "node_heap": Report(
        said="superset #6488", budget=125, cure="--max-old-space-size", needs="node", command=("node", "{}"),
        environment={"NODE_OPTIONS": "--max-old-space-size=105"},
    ),
    "arenas": Report(
        said="prime-rl PR 2527, synalinks PR 102", budget=100, cure="MALLOC_ARENA_MAX",
        environment={"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536"},
    ),
    "pip_cache": Report(said="pytorch #1022", given="in.txt", budget=32, cure=r"in pieces|copyfileobj|stream"),
    "dask_worker": Report(
        said="dask/distributed #2130", budget=290, cure=WRITE_OUT, needs="distributed"
    ),
    "ray_put": Report(said="ray #10431", budget=900, cure="reference|object store", needs="ray"),
    "xlsx_whole": Report(said="pyxform #595", given="in.xlsx", budget=64, cure="read_only", needs="openpyxl"),
    "xml_iterparse": Report(said="cpython #102055, healthkit-to-sqlite #7", given="in.xml", budget=40, cure="clear"),
    "figures": Report(said="alphalens PR 241, AmpliconArchitect #64", budget=150, cure="close", needs="matplotlib"),
    "queue_unbounded": Report(said="baseplate.py #302, patator #37", given="in.txt", budget=64, cure="maxsize"),
    "fetchall": Report(said="psycopg2 #345 #666", given="in.db", budget=32, cure="for row in cursor"),
    "concatenate": Report(said="numpy #14597", given="in.txt", budget=150, cure="write|memmap", needs="numpy"),
    "asyncio_tasks": Report(said="aiohttp #5726", given="in.txt", budget=100, cure="round|batch|at a time"),
    "read_csv": Report(said="pandas #15346", given="in.csv", budget=90, cure="chunksize", needs="pandas"),
    "tfidf_dense": Report(
        said="Machine-Learning-with-Python #12", given="in.txt", budget=250, cure="sparse", needs="sklearn"
    ),
    "lru_cache_all": Report(said="baserow #1613, openjd #230", given="in.txt", budget=64, cure="maxsize"),
    "json_whole": Report(said="orjson #210, redis-dump-load #27", given="in.json", budget=40, cure="JSON Lines|ijson"),
    "spacy_lists": Report(said="spaCy #6500, gensim #573", given="in.txt", budget=100, cure=WRITE_OUT),
}  # fmt: skip

OOMGUARD = (sys.executable, "-m", "oomguard")
OWN = {"COLUMNS": "300", "PYTHONPATH": str(REPORTS.parents[1])}


@dataclass
class Answers:
    """What the commands said of one program."""

    peak: int = 0
    checked: str = ""
    cause: dict[str, bool] = field(default_factory=dict)  # by command: whether it names a line that is to blame
    misled: list[str] = field(default_factory=list)
    cure: bool = False
    diagnosed: bool | None = None
    cured_peak: int = 0
    works: bool = False
    seen: list[str] = field(default_factory=list)

    @property
    def leads(self) -> bool:
        """To the cause and to a cure that works, with nothing on the way that leads elsewhere."""
        named = any(self.cause.get(command) for command in ("check", "profile", "run"))
        return named and self.cure and self.works and not self.misled and self.diagnosed is not False


def make_inputs(folder: Path) -> None:
    """24 MB of lines of their own, as text, csv, JSON, XML, a table and a workbook."""
    chance = random.Random(5)
    words = [f"{first}{last}" for first in ("whale", "ship", "sea", "captain", "of", "the") for last in range(400)]
    lines = [" ".join(chance.choices(words, k=16)) for _ in range(200_000)]
    (folder / "in.txt").write_text("".join(f"{line}.\n" if n % 20 else f"{line}.\n\n" for n, line in enumerate(lines)))
    with (folder / "in.csv").open("w") as file:
        file.write("id,label,text\n")
        file.writelines(f"{n},{n % 7},{line}\n" for n, line in enumerate(lines))
    with (folder / "in.json").open("w") as file:
        file.write("[")
        file.write(",\n".join(json.dumps({"id": n, "text": line}) for n, line in enumerate(lines)))
        file.write("]\n")
    with (folder / "in.xml").open("w") as file:
        file.write("<pages>")
        file.writelines(f"<page>{line}</page>\n" for line in lines)
        file.write("</pages>")
    with sqlite3.connect(folder / "in.db") as table:
        table.execute("create table documents (id integer, text text)")
        table.executemany("insert into documents values (?, ?)", enumerate(lines))
    if importlib.util.find_spec("openpyxl"):
        from openpyxl import Workbook

        book = Workbook(write_only=True)
        sheet = book.create_sheet()
        for n, line in enumerate(lines[:40_000]):
            sheet.append([n, *line.split()[:5]])
        book.save(folder / "in.xlsx")


def oomguard(folder: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*OOMGUARD, *arguments], cwd=folder, env={**os.environ, **OWN, **extra},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def marked(program: Path) -> set[int]:
    return {n for n, line in enumerate(program.read_text().splitlines(), 1) if line.endswith("# cause")}


def ask_check(folder: Path, program: Path, report: Report, lines: set[int], answers: Answers) -> str:
    said = oomguard(folder, "check", program.name, "--json")
    facts = json.loads(said.stdout)
    named = {line["line"] for line in (*facts["findings"], *facts["unseen"], *facts["assumptions"])}
    answers.checked = facts["verdict"]
    answers.cause["check"] = bool(named & lines)
    answers.seen.append(f"check: {facts['verdict']}, lines {sorted(named)}")
    if facts["verdict"] == "fits" and report.given and not facts["assumptions"]:
        answers.misled.append("check says that it fits")
    return said.stdout + oomguard(folder, "check", program.name).stdout


def ask_profile(folder: Path, program: Path, command: list[str], lines: set[int], answers: Answers) -> None:
    said = oomguard(folder, "profile", "--json", "-o", "recording", "--", *command)
    facts = json.loads(said.stderr[said.stderr.index('{"schema"') :].splitlines()[0])
    (folder / "recording").unlink()
    answers.peak = facts["peak_unreclaimable"]
    own = [line for line in facts["lines"] if line["file"].endswith(program.name)]
    answers.cause["profile"] = bool(own) and own[0]["line"] in lines
    first = facts["lines"][0] if facts["lines"] else None
    answers.seen.append(f"profile: {first and (Path(first['file']).name, first['line'], first['grew_bytes'] // MIB)}")
    if first and program.suffix == ".py" and (not first["file"].endswith(program.name) or first["line"] not in lines):
        answers.misled.append(f"profile: {Path(first['file']).name}:{first['line']} comes first")


def ask_run(folder: Path, program: Path, command: list[str], report: Report, lines: set[int], answers: Answers) -> str:
    said = oomguard(
        folder, "run", "--grace", "1", "--max-rss", f"{report.budget}M", "--report", "report.json", "--", *command
    )
    facts = json.loads((folder / "report.json").read_text())
    (folder / "report.json").unlink()
    if facts["stopped_by"] != "budget":
        answers.misled.append(f"run: it ended with {facts['exit_code']}, {facts['peak_unreclaimable'] // MIB} MiB")
    places = re.findall(r"^(?:grew|python|         ) .*?([\w.-]+\.py):(\d+) in ", said.stderr, re.MULTILINE)
    answers.cause["run"] = bool(places) and (places[0][0], int(places[0][1])) in {(program.name, n) for n in lines}
    answers.seen.append(f"run: {places[:2]}, {facts['advice']}")
    if places and not answers.cause["run"]:
        answers.misled.append(f"run: {':'.join(places[0])} comes first")
    if program.suffix != ".py":
        answers.cause["run"] = bool(facts["processes"]) and report.needs in facts["processes"][0]["command"][0]
    return "\n".join(facts["advice"])


ENTER = """
import os, sys
from oomguard.supervision.own_budget import enter_cgroup
with enter_cgroup(int(sys.argv[1]) << 20) as budget:
    print(budget.path, flush=True)
    os.execvp(sys.argv[2], sys.argv[2:])
"""


def ask_diagnose(folder: Path, command: list[str], report: Report, answers: Answers) -> None:
    """Let the kernel kill it once, at the same limit: `diagnose` must find that kill, and which process it was."""
    environment = {**os.environ, **OWN}
    child = subprocess.Popen(
        [sys.executable, "-c", ENTER, str(report.budget), *command], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        home = Path(child.stdout.readline().strip() or "/nowhere")
        until = time.monotonic() + 60
        while child.poll() is None and time.monotonic() < until and not kills_in(home):
            time.sleep(0.05)
        killed = kills_in(home)
        for pid in (int(pid) for pid in (home / "cgroup.procs").read_text().split()) if home.is_dir() else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.wait(60)
    remove(home)
    if not killed:
        answers.seen.append("diagnose: the kernel killed nothing there")
        return
    said = oomguard(folder, "diagnose", "--since", "10min", "--json")
    events = json.loads(said.stdout)["events"]
    mine = [event for event in events if str(event.get("oom_memcg") or "").endswith(home.name)]
    answers.diagnosed = bool(mine) and all(event["victims"] for event in mine)
    answers.cause["diagnose"] = answers.diagnosed


def kills_in(home: Path) -> int:
    for name in ("memory.oom_control", "memory.events"):
        with suppress(OSError):
            found = re.search(r"^oom_kill (\d+)", (home / name).read_text(), re.MULTILINE)
            return int(found[1]) if found else 0
    return 0


def remove(home: Path) -> None:
    until = time.monotonic() + 10
    while home.is_dir() and time.monotonic() < until:
        with suppress(OSError):
            home.rmdir()
        time.sleep(0.05)


def cure_it(folder: Path, name: str, report: Report, answers: Answers) -> None:
    program = next(folder.glob(f"{name}_cured.*"))
    said = oomguard(
        folder, "run", "--max-rss", f"{report.budget}M", "--report", "report.json", "--", *command_of(report, program),
        **report.environment,
    )  # fmt: skip
    facts = json.loads((folder / "report.json").read_text())
    (folder / "report.json").unlink()
    answers.cured_peak = facts["peak_unreclaimable"]
    answers.works = facts["exit_code"] == 0 and facts["stopped_by"] is None
    if not answers.works:
        answers.seen.append(f"cured: {facts['exit_code']}, {facts['stopped_by']}: {said.stderr[-300:]}")


def command_of(report: Report, program: Path) -> list[str]:
    words = [word.format(program.name) for word in report.command or PYTHON]
    return [*words, report.given] if report.given else words


def is_missing(report: Report) -> bool:
    return bool(report.needs) and not (importlib.util.find_spec(report.needs) or shutil.which(report.needs))


def ask(folder: Path, name: str, report: Report) -> Answers:
    answers = Answers()
    program = next(folder.glob(f"{name}.*"))
    lines = marked(program)
    command = command_of(report, program)
    told = ask_check(folder, program, report, lines, answers) if program.suffix == ".py" else ""
    ask_profile(folder, program, command, lines, answers)
    told += ask_run(folder, program, command, report, lines, answers)
    answers.cure = re.search(report.cure, told) is not None
    ask_diagnose(folder, command, report, answers)
    cure_it(folder, name, report, answers)
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=list(ALL), default=list(ALL))
    arguments = parser.parse_args()
    found: dict[str, Answers] = {}
    missing: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        make_inputs(folder)
        for file in REPORTS.iterdir():
            with suppress(IsADirectoryError):
                shutil.copy(file, folder)
        for name in arguments.only:
            report = ALL[name]
            if is_missing(report):
                missing.append(name)
                continue
            answers = found[name] = ask(folder, name, report)
            named = " ".join(command for command, is_named in answers.cause.items() if is_named)
            print(
                f"| {name} | {report.said} | {answers.peak // MIB} | {answers.checked or '-'} | {named} | "
                f"{'yes' if answers.cure else 'NO'} | {answers.cured_peak // MIB} | "
                f"{'yes' if answers.leads else 'NO'} | {'; '.join(answers.misled)}",
                flush=True,
            )
            if not answers.leads:
                print("\n".join(f"      {line}" for line in answers.seen), flush=True)
    led = sum(answers.leads for answers in found.values())
    print(f"{led} of {len(found)} lead to the cause and a cure that works; not tried: {', '.join(missing) or 'none'}")
    sys.exit(led < ENOUGH * len(found))


if __name__ == "__main__":
    main()
