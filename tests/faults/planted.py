"""Root runs each command in folders where another user plants links, pipes and second names, and swaps what is there.

Nothing outside of them may be touched. Commands are refused or done; both are right.

    python -m tests.faults.planted --rounds 1000 --seed 1
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

NOBODY = 65534
_ATTACKER = """
import os, random, sys
os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)
chance = random.Random(sys.argv[2])
NAMES = ["out", "out/.oomguard", "out/.oomguard/manifest.new", "out/.oomguard/manifest.jsonl", "out/.oomguard/lock",
         "out/.oomguard/t000000.partial", "out/.oomguard/v000000.partial", "out/train.bin", "out/val.bin", "r.json",
         "page.html", "pins.json", "new.oomguard", "new.oomguard.part", "converted", "converted/train.npy",
         "converted/.oomguard", "converted/.oomguard/lock", ".oomguard-plan-x", "out/.oomguard/t000000.ends.partial",
         "out/.oomguard/spool", "out/.oomguard/spool/.oomguard", "out/.oomguard/spool/tb000.tokens",
         "out/.oomguard/spool/vb000.keys", "out/.oomguard/p000000.rows.partial", "out/.oomguard/p000000.names.partial",
         "out/provenance-00000.parquet", "job.json", "out/.oomguard/parts", "out/.oomguard/parts/job",
         "out/.oomguard/parts/0000000.part", "out/.oomguard/parts/0000000.claim", "out/.oomguard/parts/finished",
         ".bashrc", ".config", ".config/oomguard", ".config/oomguard/hook.bash"]
NAMES += [f"profile-true-{pid}.oomguard" for pid in range(int(sys.argv[3]), int(sys.argv[3]) + 40)]
TARGETS = ["../secret/victim", "../secret/new", "../secret", "/proc/self/mem", "../../secret/victim", "../../../secret/new"]
print("ready", flush=True)
while True:
    name = chance.choice(NAMES)
    step = chance.randrange(10)
    try:
        if step > 7:  # what is there, whatever it is called, makes way for a link
            folder = chance.choice([at for at, _, _ in os.walk(".")])
            name = os.path.join(folder, chance.choice(os.listdir(folder)))
            os.rename(name, f"away{chance.randrange(1000)}")
            os.symlink(chance.choice([*TARGETS, f"away{chance.randrange(1000)}"]), name)
            continue
        if step == 0: os.symlink(chance.choice(TARGETS), name)
        elif step == 1: os.unlink(name)
        elif step == 2: os.mkfifo(name)
        elif step == 3: os.mkdir(name, 0o777)
        elif step == 4: os.rename(name, f"away{chance.randrange(1000)}")
        elif step == 5: os.link(f"../secret/victim", name, follow_symlinks=False)
        elif step == 6: open(name, "x").close()
        else: os.rename(chance.choice(NAMES), name)
    except (OSError, IndexError): pass
"""
_PREPARE = ["prepare", "../text.txt", "--out", "out", "--quiet"]
COMMANDS = {  # each after the other, whatever becomes of those before it
    "prepare": [_PREPARE],
    "prepare --shuffle": [["prepare", "../lines.jsonl", "--out", "out", "--quiet", "--shuffle", "3"]],
    "prepare --provenance": [["prepare", "../lines.jsonl", "--out", "out", "--quiet", "--provenance"]],
    "prepare --extend": [_PREPARE, ["prepare", "../text.txt", "../lines.jsonl", "--out", "out", "--quiet", "--extend"]],
    "prepare --job-only, work, finish": [
        ["prepare", "../text.txt", "--out", "out", "--job-file", "job.json", "--job-only"],
        ["work", "job.json"],
        ["finish", "job.json"],
    ],
    "run": [["run", "--max-rss", "60M", "--report", "r.json", "--", "/bin/true"]],
    "run, something left": [
        ["run", "--max-rss", "60M", "--report", "r.json", "--", "/bin/sh", "-c", "sleep 0.2 >/dev/null 2>&1 &"]
    ],
    "profile": [["profile", "--", "/bin/true"]],
    "profile -o": [["profile", "-o", "new.oomguard", "--", "/bin/true"]],
    "diagnose": [["diagnose", "--log", "../kernel.log", "--html", "page.html", "--redact"]],
    "report": [["report", "../r.oomguard", "--html", "page.html"]],
    "check": [["check", "../script.py", "--pin", "pins.json"]],
    "convert": [["convert", "../done", "--format", "npy", "--out", "converted"]],
    "convert, beside it": [["convert", "out", "--format", "npy"]],
    "plan": [["plan", "../text.txt", "--out", "out"]],
    "hook --install": [["hook", "bash", "--install"]],
}
_OOMGUARD = [sys.executable, "-m", "oomguard"]


class Campaign:
    """The inputs, what must not be touched, and what became of the commands."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        folder.chmod(0o755)
        self.secret = folder / "secret"
        self.secret.mkdir()
        (self.secret / "victim").write_text("kept")
        # The attacker may make a second name of it; root's commands must not write to that.
        self.ended: Counter[str] = Counter()
        (folder / "text.txt").write_text("a budget for the kernel, " * 2000)
        lines = [f'{{"text": "document {number} of a corpus"}}\n' for number in range(40)]
        (folder / "lines.jsonl").write_text("".join(lines))
        (folder / "script.py").write_text("held = []\nfor line in open('text.txt'):\n    held.append(line)\n")
        (folder / "kernel.log").write_text(
            "[  100.0] Out of memory: Killed process 77 (python) total-vm:9000000kB, anon-rss:8000000kB, "
            "file-rss:0kB, shmem-rss:0kB, UID:0 pgtables:100kB oom_score_adj:0\n"
        )
        for command in (
            ["prepare", "text.txt", "--out", "done", "--quiet"], ["profile", "-o", "r.oomguard", "--", "/bin/true"],
        ):  # fmt: skip
            subprocess.run([*_OOMGUARD, *command], cwd=folder, check=True, capture_output=True)
        self.before = _all_of(folder)

    def round(self, number: int) -> str | None:
        """One folder, an attacker, and some commands in it; gives what went wrong."""
        place = self.folder / f"place{number}"
        place.mkdir()
        kind = self.chance.choice(["theirs", "shared", "open to all"])
        if kind == "theirs":
            os.chown(place, NOBODY, NOBODY)
        place.chmod({"theirs": 0o755, "shared": 0o1777, "open to all": 0o777}[kind])
        newest = Path("/proc/loadavg").read_text().split()[-1]
        attacker = subprocess.Popen(
            [sys.executable, "-c", _ATTACKER, str(place), str(self.chance.random()), newest], stdout=subprocess.PIPE
        )
        try:
            assert attacker.stdout is not None
            attacker.stdout.readline()
            name = self.chance.choice(list(COMMANDS))
            try:
                done = [
                    subprocess.run(
                        [*_OOMGUARD, *command], cwd=place, capture_output=True, timeout=60, check=False,
                        stdin=subprocess.DEVNULL, env={**os.environ, "HOME": str(place)},
                    )
                    for command in COMMANDS[name]
                ]  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"{name} in a folder that is {kind}: did not end"
        finally:
            attacker.kill()
            attacker.communicate()
        for one in done:
            refused = b"belongs to" in one.stderr
            self.ended[f"{kind}: {'refused by name' if refused else f'status {one.returncode}'}"] += 1
        shutil.rmtree(place, ignore_errors=True)
        for one in done:
            if b"this is a bug" in one.stderr or b"Traceback" in one.stderr:
                return f"{name} in a folder that is {kind}: {one.stderr[-600:].decode(errors='replace')}"
        now = _all_of(self.folder)
        if now != self.before:
            changed = {key for key in now.keys() | self.before.keys() if now.get(key) != self.before.get(key)}
            self.before = now
            return f"{name} in a folder that is {kind}: touched {sorted(changed)}"
        return None


def _all_of(folder: Path) -> dict[str, tuple[object, ...]]:
    """Names, owners, modes, contents; not how many names a file has, which the attacker may change."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        changed = status.st_mtime_ns if stat.S_ISREG(status.st_mode) else 0
        found[str(path.relative_to(folder))] = (status.st_uid, status.st_gid, status.st_mode, content, changed)
    return found


def run(rounds: int, seed: int, minutes: float = 60) -> tuple[list[str], Counter[str], int]:
    """Run rounds; gives what went wrong, how the commands ended, and how many rounds there were."""
    until = time.monotonic() + 60 * minutes
    wrong: list[str] = []
    done = 0
    with tempfile.TemporaryDirectory(prefix="oomguard-planted-") as folder:
        campaign = Campaign(Path(folder), seed)
        for number in range(rounds):
            if time.monotonic() > until:
                break
            done += 1
            if (said := campaign.round(number)) is not None:
                wrong.append(said)
                print(f"{number}: {said}", flush=True)
        return wrong, campaign.ended, done


def main() -> int:
    """Run, and say what went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    wrong, ended, done = run(asked.rounds, asked.seed, asked.minutes)
    print(f"{done} rounds, {len(wrong)} wrong: {dict(ended)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
