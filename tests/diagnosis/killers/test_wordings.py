"""Every wording of every killer, alone and in what it is met in; and what only looks like one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from oomguard.diagnosis.killers import BY_IDENT, KILLERS
from oomguard.diagnosis.killers.base import Killer, Wording
from oomguard.diagnosis.killers.reader import find_in_blocks
from oomguard.diagnosis.killers.words import alternatives, compile_words, literal_prefix
from oomguard.formats.kernel_log import LogFinding, Notice, OtherKill
from oomguard.kernel.logs.files import _as_utf8

if TYPE_CHECKING:
    from collections.abc import Callable

ALONE = {
    f"{killer.ident}: {number}": (killer, wording)
    for killer in KILLERS
    for number, wording in enumerate(killer.wordings)
    if wording.kind == "kill" and wording.beside is None
}
STAMP = "2026-03-01T10:00:00.123456Z"


def utf16(text: str) -> bytes:
    return b"".join(_as_utf8([f"\ufeff{text}\n".encode("utf-16-le")]))


# What a line is met in: its text in, the log out.
SURROUNDINGS: dict[str, Callable[[str], bytes]] = {
    "alone": lambda text: f"{text}\n".encode(),
    "without a line end": str.encode,
    "a time before it": lambda text: f"{STAMP} {text}\n".encode(),
    "a logger's prefix": lambda text: f"2026-03-01 10:00:00,123 - worker - ERROR - {text}\n".encode(),
    "after a line with a time": lambda text: f"2026-03-01 10:00:00,123 INFO step 3\n{text}\n".encode(),
    "a progress bar and a carriage return": lambda text: f" 43%|####      | 431/1000 [12:11<16:02, 59.2it/s]\r{text}\n".encode(),
    "a progress bar on the same line": lambda text: f" 43%|####      | 431/1000 [12:11<16:02, 59.2it/s]{text}\n".encode(),
    "colours": lambda text: f"\x1b[31m\x1b[1m{text}\x1b[0m\n".encode(),
    "quoted in a mail": lambda text: f"> > {text}\n".encode(),
    "indented": lambda text: f"        {text}\n".encode(),
    "Docker's JSON": lambda text: (json.dumps({"log": f"{text}\n", "stream": "stderr", "time": STAMP}) + "\n").encode(),
    "a JSON export of several": lambda text: json.dumps({"events": [{"timestamp": 1, "message": "x"}, {"timestamp": 2, "message": text}]}).encode(),
    "the end of lines of Windows": lambda text: f"step 3\r\n{text}\r\nstep 4\r\n".encode(),
    "UTF-16": utf16,
    "CRI": lambda text: f"{STAMP} stderr F {text}\n".encode(),
}  # fmt: skip


def findings(log: bytes) -> list[LogFinding]:
    return list(find_in_blocks([log]))


def told_by(log: bytes) -> list[str]:
    return [found.told_by for found in findings(log) if isinstance(found, OtherKill | Notice)]


@pytest.mark.parametrize("name", ALONE)
def test_every_wording_alone_in_every_surrounding(name: str) -> None:
    killer, wording = ALONE[name]
    missed = []
    for surrounding, wrap in SURROUNDINGS.items():
        if told_by(wrap(wording.example)) != [killer.ident]:
            missed.append((surrounding, told_by(wrap(wording.example))))
    assert missed == []


# One job of `squeue --json` or `sacct --json`, a line for each field, as Slurm 22.05, 23.11 and 24.05 write it.
JOBS_IN_JSON = {
    "a state": '{\n "jobs": [\n  {\n   "job_id": 4711,\n   "name": "prep",\n   "state": "OUT_OF_MEMORY"\n  }\n ]\n}\n',
    "a step": '{\n "steps": [\n  {\n   "exit_code": {\n    "status": "SIGNALED"\n   },\n   "state": "OUT_OF_MEMORY",\n   "step": {\n    "job_id": 4711,\n    "id": 0\n   }\n  }\n ]\n}\n',
    "states": '{\n "jobs": [\n  {\n   "job_id": 4711,\n   "state": {\n    "current": [\n     "OUT_OF_MEMORY"\n    ],\n    "reason": "OutOfMemory"\n   }\n  }\n ]\n}\n',
    "states of squeue": '{\n "jobs": [\n  {\n   "job_id": 4711,\n   "job_state": [\n    "OUT_OF_MEMORY"\n   ]\n  }\n ]\n}\n',
}  # fmt: skip


@pytest.mark.parametrize("name", JOBS_IN_JSON)
def test_a_job_in_json_that_is_printed_line_by_line(name: str) -> None:
    (kill,) = findings(JOBS_IN_JSON[name].encode())
    assert isinstance(kill, OtherKill)
    assert (kill.told_by, kill.facts["job"]) == ("slurm", "4711")


@pytest.mark.parametrize("wording", [each for killer in KILLERS for each in killer.wordings if each.beside])
def test_a_plain_wording_alone_is_nothing(wording: Wording) -> None:
    assert findings(f"{wording.example}\n".encode()) == []


@pytest.mark.parametrize("name", ALONE)
def test_a_wordings_word_finds_its_example(name: str) -> None:
    """The prefilter reads bytes; a wording that it does not know would never be met alone."""
    _, wording = ALONE[name]
    assert wording.word
    assert any(words.search(wording.example.encode()) for words in compile_words([wording.word]))
    for part in alternatives(wording.word):
        assert len(literal_prefix(part)[0].encode()) >= 4


def test_a_registration_is_complete() -> None:
    assert len(BY_IDENT) == len(KILLERS)
    for killer in KILLERS:
        assert killer.what
        assert killer.wordings
        assert any(wording.kind == "kill" for wording in killer.wordings)
        assert killer.advise is not Killer.__dataclass_fields__["advise"].default or killer.says == "sigkill", (
            killer.ident
        )
        assert bool(killer.acts) >= bool(killer.settings_files)
        for wording in killer.wordings:
            assert wording.example
            assert bool(wording.word) or wording.kind == "detail"


# What surrounds the words where nothing was killed: said of them, searched for, programmed, or denied.
NEGATIVES: dict[str, Callable[[str], str]] = {
    "prose": lambda text: f"If you see the words {text} in a log, raise the limit.",
    "a question": lambda text: f"Why do I get {text} and what can I do about it?",
    "a comment": lambda text: f"# {text}",
    "a comment of C": lambda text: f"    // {text}",
    "code": lambda text: f"        if line == {text!r}: return True",
    "a pattern": lambda text: f'PATTERN = re.compile(r"{text}")',
    "sudo": lambda text: f"Mar  1 10:00:00 h sudo[811]:    ann : TTY=pts/0 ; PWD=/home/ann ; USER=root ; COMMAND=/usr/bin/grep {text}",
    "CRON": lambda text: f"Mar  1 10:00:00 h CRON[811]: (root) CMD (grep -c {text} /var/log/syslog > /tmp/n)",
    "an audit record": lambda text: f'Mar  1 10:00:00 h audit[811]: EXECVE argc=2 a0="grep" a1="{text}"',
    "a rule": lambda text: f'- alert: X  # expr: count_over_time({{job="a"}} |= "{text}" [5m])',
    "the history of a shell": lambda text: f"  812  journalctl -k | grep '{text}'",
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_words_about_a_kill_are_not_a_kill(name: str) -> None:
    _, wording = ALONE[name]
    text = wording.example.strip()
    wrong = [
        surrounding
        for surrounding, wrap in NEGATIVES.items()
        if any(isinstance(found, OtherKill) for found in findings(f"{wrap(text)}\n".encode()))
    ]
    assert wrong == []


DENIED = [
    '{"State": {"Status": "exited", "OOMKilled": false, "ExitCode": 1}}',
    '        "OOMKilled": false,',
    "OOMKilled: false",
    'x_last_terminated_reason{pod="web-1",reason="OOMKilled"} 0',
    'kube_pod_container_status_last_terminated_reason{container="a",pod="web-1",reason="OOMKilled"} 0',
    "If you see OOMKilled in the status, raise the limit.",
    "# a comment on the SystemOOM and OOMKilling events",
    '    return s == "OOMKilled"',
    '- alert: Oom\n  expr: rate(kube_pod_container_status_terminated_reason{reason="OOMKilled"}[5m]) > 0\n',
    "(raylet) node_manager.cc:3064: 0 Workers (tasks / actors) killed due to memory pressure (OOM), 3 Workers crashed due to other reasons",
    "low 0\nhigh 0\nmax 9\noom 0\noom_kill 0\noom_group_kill 0\n",
    "slurmstepd: error: Detected 0 oom_kill events in StepId=4.0.",
    "swapper.service: systemd-oomd killed 0 process(es) in this unit.",
    "Mar  1 10:00:00 h systemd[1]: Starting Userspace Out-Of-Memory (OOM) Killer...",
    "mem avail:    36 of   451 MiB ( 8.13%), swap free:    0 of    0 MiB ( 0.00%)",
    "Worker exceeded memory limit, restarting it",
    "- Worker exceeded memory limit",
    "Worker exceeded memory limit.",
    '  "Worker exceeded memory limit": "x",',
    '  "Error: Worker exceeded memory limit": "x",',
    "2026-03-01 10:00:00,123 - worker - WARNING - Worker exceeded memory limit",
    "Container 'web' exceeded memory limit",
    "Container 'Build' exceeded memory limit of 4096 MB set in the manifest",
    "This app has gone over its resource limits.",
    "Command killed due to timeout or excessive memory consumption",
    '"state": "OUT_OF_MEMORY"',
    '{"state": "OUT_OF_MEMORY"}',
    '{"type":"object","properties":{"state": "OUT_OF_MEMORY"}}',
    'Mar  1 10:00:01 h dockerd[811]: level=debug msg="form data: {\\"OomKillDisable\\":false,\\"OOMKilled\\":false}"',
]  # fmt: skip


@pytest.mark.parametrize("text", DENIED)
def test_what_is_denied_is_not_a_kill(text: str) -> None:
    assert [found for found in findings(f"{text}\n".encode()) if not isinstance(found, Notice)] == []


# Tables, and sentences, in which the word for a kill stands at the end of a line.
NO_ENDS = [
    "Name | Count | Killed", "Name | Count | State | Killed", "Status - Killed", "wait - Killed", "João: 45: Morto", "Personaje: 12: Matado",
    "João: 45: Tué", "Cena 3: Morto", "Kapitel 3, 12: Getötet", "if the kernel died", "what to do when the kernel appears to have died",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_ENDS)
def test_a_table_or_a_sentence_is_no_sudden_end(text: str) -> None:
    assert findings(f"{text}\n".encode()) == []


def test_a_container_that_was_not_killed_for_memory_is_no_kill_even_with_137() -> None:
    text = (
        '[{"Id": "5954f621c17f", "State": {"Status": "exited", "OOMKilled": false, "ExitCode": 137}, "Name": "/web"}]\n'
    )
    assert [found for found in findings(text.encode()) if isinstance(found, OtherKill)] == []


def example(ident: str, number: int = 0) -> Wording:
    return BY_IDENT[ident].wordings[number]


def test_who_killed_is_who_killed() -> None:
    """The kernel at a container's limit; the kubelet only where it evicts."""
    for ident in ("kubernetes", "docker", "ecs", "systemd"):
        (kill,) = findings(f"{example(ident).example}\n".encode())
        assert isinstance(kill, OtherKill)
        assert (kill.killer, kill.told_by) == ("kernel", ident)
    (evicted,) = findings(f"{example('kubelet').example}\n".encode())
    assert isinstance(evicted, OtherKill)
    assert evicted.killer == "kubelet"


def test_the_words_that_are_looked_for_first_are_in_every_wording() -> None:
    """A line without any of them is passed over: so each text that a wording begins with must hold one."""
    from oomguard.diagnosis.killers import reader

    assert all(any(stem in literal for stem in reader._STEMS) for literal in reader._LITERALS)
    assert len(reader._STEMS) < len(reader._LITERALS) / 2
