"""What each flag of `run -- COMMAND` does, tried wherever this is run: by polling, as a plain user, in a guest.

`python -m tests.live.flag_cases RESULT [FLAG...]` tries each with FLAG... beside it, in a new folder below the current
one, and writes what was wrong, by flag. Needs nothing but the standard library. That the values are of the machine's
own backend is for the test to say.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.live.run_cases import environment

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
_SECONDS = 240  # a guest without KVM is 20 times slower
_TINY = "import sys; sys.exit(7)"
# Grows until it is stopped, at last so slowly that a busy machine's guard sees it in time. SIGTERM: it takes ENDS_AFTER seconds to end, and leaves a file when it got that far.
ENDS_SLOWLY = """
import os, signal, time
def end(number, frame):
    open("asked", "w").close()
    time.sleep(float(os.environ.get("ENDS_AFTER", "0.2")))
    open("ended", "w").close()
    os._exit(0)
signal.signal(signal.SIGTERM, end)
held = [bytearray(b"x") * (90 << 20)]
while True:
    held.append(bytearray(b"x") * (1 << 20))
    time.sleep(0.004)
"""
_LEAVES_A_DAEMON = """
import os, sys, time
if not os.fork():
    for fd in (0, 1, 2):
        os.close(fd)
    time.sleep(0.7)
    open("late", "w").close()
"""


def _environment() -> dict[str, str]:
    """With the modules that whoever started this has named."""
    return {**environment(), **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}}


def _start(
    folder: Path, beside: list[str], *flags: str, program: str = _TINY, env: dict[str, str] | None = None
) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "oomguard", "run", *flags, *beside, "--", sys.executable, "-c", program],
        cwd=folder, env={**_environment(), **(env or {})}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0,
    )  # fmt: skip


def _run(folder: Path, beside: list[str], *flags: str, **options: Any) -> tuple[int, str]:
    started = _start(folder, beside, *flags, **options)
    try:
        _, err = started.communicate(timeout=_SECONDS)
    finally:
        started.kill()
    return started.returncode, err


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "r.json").read_text())
    return report


def _max_rss(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, beside, "--max-rss", "200M", "--report", "r.json")
    report = _report(folder)
    return [f"{code}: {err}"] * (code != 7) + [str(report)] * (report["budget"] != 200 * MIB)


def _percentage(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, beside, "--max-rss", "50%", "--report", "r.json")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    budget = _report(folder)["budget"]
    return [f"{code}: {err}"] * (code != 7) + [f"{budget}"] * (not memory // 100 < budget <= memory // 2)


def _report_flag(folder: Path, beside: list[str]) -> list[str]:
    (folder / "r.json").write_text("somebody's own notes")
    code, err = _run(folder, beside, "--max-rss", "200M", "--report", "r.json")
    wrong = [f"overwrote a file: {err}"] * (code != 125 or (folder / "r.json").read_text() != "somebody's own notes")
    (folder / "r.json").unlink()
    code, err = _run(folder, beside, "--max-rss", "200M", "--report", "r.json")
    report = _report(folder)
    return wrong + [f"{code}: {report}"] * ((report["schema"], report["exit_code"]) != ("oomguard.run_outcome/1", 7))


def _enforce(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, [], "--max-rss", "200M", "--enforce", "nonsense")
    wrong = [f"{code}: {err}"] * (code not in (2, 125) or "nonsense" not in err)
    code, err = _run(folder, [], "--max-rss", "200M", "--enforce", "polling", "--report", "r.json")
    return wrong + [f"{code}: {err}"] * (code != 7 or _report(folder)["enforced_by"] != "watchdog")


def _stop(folder: Path, beside: list[str]) -> list[str]:
    flags = ("--max-rss", "150M", "--on-limit", "stop", "--grace", "60", "--report", "r.json")
    code, err = _run(folder, beside, *flags, program=ENDS_SLOWLY)
    wrong = [f"{code}: {err}"] * (code != 137 or _report(folder)["stopped_by"] != "budget")
    return wrong + ["it was not asked to end"] * (not (folder / "asked").exists())


def _kill(folder: Path, beside: list[str]) -> list[str]:
    flags = ("--max-rss", "150M", "--on-limit", "kill", "--report", "r.json")
    code, err = _run(folder, beside, *flags, program=ENDS_SLOWLY)
    wrong = [f"{code}: {err}"] * (code != 137 or _report(folder)["stopped_by"] != "budget")
    return wrong + ["it was asked to end"] * (folder / "asked").exists()


def _hold(folder: Path, beside: list[str]) -> list[str]:
    flags = ("--max-rss", "150M", "--on-limit", "hold", "--grace", "0", "--report", "r.json")
    run = _start(folder, beside, *flags, program=ENDS_SLOWLY)
    try:
        until = time.monotonic() + _SECONDS
        while f"@oomguard-run-{run.pid}" not in Path("/proc/net/unix").read_text():
            if run.poll() is not None or time.monotonic() > until:
                return [f"it did not wait: {run.communicate()[1] if run.poll() is not None else ''}"]
            time.sleep(0.05)
        release = [sys.executable, "-m", "oomguard", "release", str(run.pid), "--stop"]
        asked = subprocess.run(release, env=_environment(), capture_output=True, text=True, check=False)
        _, err = run.communicate(timeout=_SECONDS)
    finally:
        run.kill()
    held = _report(folder)["held_unreclaimable"]
    return [f"{run.returncode}: {asked.stderr} {err}"] * (run.returncode != 137 or held < 100 * MIB)


def _wait(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, beside, "--max-rss", "200M", "--wait", program=_LEAVES_A_DAEMON)
    return [f"{code}, did not wait: {err}"] * (code != 0 or not (folder / "late").exists())


def _grace(folder: Path, beside: list[str]) -> list[str]:
    for seconds, ends, takes in (("0.1", False, "6"), ("60", True, "0.2")):  # without the flag: 10
        flags = ("--max-rss", "150M", "--grace", seconds)
        code, err = _run(folder, beside, *flags, program=ENDS_SLOWLY, env={"ENDS_AFTER": takes})
        if code != 137 or (folder / "ended").exists() is not ends:
            return [f"{seconds}: {code}: {err}"]
    return []


def _allow_swap(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, beside, "--max-rss", "200M", "--allow-swap=64M")
    return [f"{code}: {err}"] * (code != 7)


def _json(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, beside, "--max-rss", "200M", "--json")
    return [f"{code}: {err}"] * (code != 7 or json.loads(err)["exit_code"] != 7)  # and nothing else is said


def _quiet(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, beside, "--max-rss", "200M", "--quiet")
    return [f"{code}: {err}"] * ((code, err) != (7, ""))


def _variables(folder: Path, beside: list[str]) -> list[str]:
    code, err = _run(folder, beside, env={"OOMGUARD_MAX_RSS": "200M", "OOMGUARD_REPORT": "r.json"})
    return [f"{code}: {err}"] * (code != 7 or _report(folder)["budget"] != 200 * MIB)


FLAGS: dict[str, Callable[[Path, list[str]], list[str]]] = {
    "--max-rss": _max_rss, "--max-rss %": _percentage, "--report": _report_flag, "--enforce": _enforce,
    "--on-limit stop": _stop, "--on-limit kill": _kill, "--on-limit hold": _hold, "--wait": _wait, "--grace": _grace,
    "--allow-swap": _allow_swap, "--json": _json, "--quiet": _quiet, "OOMGUARD_MAX_RSS, OOMGUARD_REPORT": _variables,
}  # fmt: skip


def try_flags(folder: Path, beside: list[str]) -> dict[str, list[str]]:
    """What was wrong with each flag, with the flags `beside`; and what enforced it here."""

    def tried(name: str) -> list[str]:
        own = Path(tempfile.mkdtemp(dir=folder))
        try:
            return FLAGS[name](own, beside)
        except Exception as error:  # noqa: BLE001 - told as a fault of that flag
            return [repr(error)]

    with ThreadPoolExecutor(2) as pool:  # mostly they wait
        wrong = dict(zip(FLAGS, pool.map(tried, FLAGS), strict=True))
    code, err = _run(folder, beside, "--max-rss", "200M", "--report", "r.json")
    return {**wrong, "enforced_by": [_report(folder)["enforced_by"]] if code == 7 else [err]}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(try_flags(Path.cwd(), sys.argv[2:])))
