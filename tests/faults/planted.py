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
         "converted/.oomguard", "converted/.oomguard/lock", ".oomguard-plan-x", "out/.oomguard/t000000.ends.partial"]
NAMES += [f"profile-true-{pid}.oomguard" for pid in range(int(sys.argv[3]), int(sys.argv[3]) + 40)]
TARGETS = ["../secret/victim", "../secret/new", "../secret", "/proc/self/mem", "../../secret/victim", "../../../secret/new"]
print("ready", flush=True)
while True:
    name = chance.choice(NAMES)
    step = chance.randrange(8)
    try:
        if step == 0: os.symlink(chance.choice(TARGETS), name)
        elif step == 1: os.unlink(name)
        elif step == 2: os.mkfifo(name)
        elif step == 3: os.mkdir(name, 0o777)
        elif step == 4: os.rename(name, f"away{chance.randrange(1000)}")
        elif step == 5: os.link(f"../secret/victim", name, follow_symlinks=False)
        elif step == 6: open(name, "x").close()
        else: os.rename(chance.choice(NAMES), name)
    except OSError: pass
"""
COMMANDS = {
    "prepare": ["prepare", "../text.txt", "--out", "out", "--quiet"],
    "run": ["run", "--max-rss", "60M", "--report", "r.json", "--", "/bin/true"],
    "profile": ["profile", "--", "/bin/true"],
    "profile -o": ["profile", "-o", "new.oomguard", "--", "/bin/true"],
    "diagnose": ["diagnose", "--log", "../kernel.log", "--html", "page.html"],
    "report": ["report", "../r.oomguard", "--html", "page.html"],
    "check": ["check", "../script.py", "--pin", "pins.json"],
    "convert": ["convert", "../done", "--format", "npy", "--out", "converted"],
    "plan": ["plan", "../text.txt", "--out", "out", "--no-calibration"],
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
                done = subprocess.run(
                    [*_OOMGUARD, *COMMANDS[name]], cwd=place, capture_output=True, timeout=60, check=False,
                    stdin=subprocess.DEVNULL,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"{name} in a folder that is {kind}: did not end"
        finally:
            attacker.kill()
            attacker.communicate()
        refused = b"belongs to" in done.stderr
        self.ended[f"{kind}: {'refused by name' if refused else f'status {done.returncode}'}"] += 1
        shutil.rmtree(place)
        if b"this is a bug" in done.stderr or b"Traceback" in done.stderr:
            return f"{name} in a folder that is {kind}: {done.stderr[-600:].decode(errors='replace')}"
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


def run(rounds: int, seed: int, minutes: float = 60) -> tuple[list[str], Counter[str]]:
    """Run rounds; gives what went wrong, and how the commands ended."""
    until = time.monotonic() + 60 * minutes
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="oomguard-planted-") as folder:
        campaign = Campaign(Path(folder), seed)
        for number in range(rounds):
            if time.monotonic() > until:
                break
            if (said := campaign.round(number)) is not None:
                wrong.append(said)
                print(f"{number}: {said}", flush=True)
        return wrong, campaign.ended


def main() -> int:
    """Run, and say what went wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    wrong, ended = run(asked.rounds, asked.seed, asked.minutes)
    print(f"{sum(ended.values())} rounds, {len(wrong)} wrong: {dict(ended)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
