"""`diagnose --redact`: nothing that names people, machines or files gets out, and what is concluded is the same."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oomguard.cli.showing import screen
from oomguard.diagnosis.api import diagnose
from oomguard.diagnosis.redaction import Redactor
from oomguard.diagnosis.screens.page import diagnosis_page
from oomguard.errors import OomguardError
from tests.properties import examples, some_of

CAPTURES = Path(__file__).parents[1] / "captures"
DATA = Path(os.environ.get("OOMGUARD_DATA", "/nowhere"))
LOGS = sorted(
    path
    for folder in (CAPTURES / "kernel_log", CAPTURES / "pasted", DATA / "oomlogs", DATA / "oomlogs_vm")
    for path in folder.rglob("*")
    if path.is_file()
)
# What names somebody or something, as a reader of a log finds it.
TOKENS = {
    "host": r"^\w{3} [ \d]\d \d\d:\d\d:\d\d (\S+) |^\d{4}-\d\d-\d\d[T ][\d:.,+-]+ (\S+) (?:kernel|systemd|earlyoom)",
    "address": r"(?<![\d.])([1-9]\d{0,2}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\d.])",
    "path": r"(?<![\w/.<])(/[\w.@:\\-]+(?:/[\w.@:\\-]+)+)",
    "id": r"(?<![0-9a-f])([0-9a-f]{64}|[0-9a-f]{32})(?![0-9a-f])",
    "pod": r"([0-9a-f]{8}[_-][0-9a-f]{4}[_-][0-9a-f]{4}[_-][0-9a-f]{4}[_-][0-9a-f]{12})",
    "number of a user": r"(?:uid=|UID:|user-|user@)(\d{3,})",
    "user": r"(?:user=|USER=|/home/)([a-z]\w+)",
}
# The same on every machine: devices, the first user's own cgroup, and the settings that an advice names.
EVERYWHERE = re.compile(
    r"/dev/(?:kmsg|shm)|/proc/meminfo|/user\.slice/user-0\.slice/.*|/etc/nohang/nohang\.conf|/kubepods\.slice/[\w-]*"
)


def outputs(log: Path) -> dict[str, str]:
    found = replace(diagnose(log, every=True, redact=True), every=True, verbose=True)
    page = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", diagnosis_page(found, made=0, by=""), flags=re.DOTALL)
    return {
        "text": screen(found.render()),
        "JSON": json.dumps(found.to_json(), ensure_ascii=False),
        "page": html.unescape(re.sub("<[^>]*>", "", page)),
    }


def told_in(token: str, text: str) -> bool:
    return token in text and re.search(rf"(?<![\w.]){re.escape(token)}(?!\w)", text) is not None


def test_there_are_logs() -> None:
    assert len(LOGS) > 30


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in some_of(range(1, 32)))])
def test_no_token_of_a_real_log_gets_out_and_the_verdict_stays(part: int) -> None:
    for log in LOGS[part::32]:
        try:
            shown, plain = outputs(log), diagnose(log, every=True)
        except OomguardError:
            continue
        redacted = json.loads(shown["JSON"])
        assert (redacted["verdict"], redacted["killer"], redacted["cause"], redacted["found"]) == (
            plain.verdict, plain.killer, plain.cause, plain.found,
        )  # fmt: skip
        raw = log.read_bytes().decode(errors="replace")
        for kind, pattern in TOKENS.items():
            found = re.findall(pattern, raw, re.MULTILINE)
            for token in {each for one in found for each in ([one] if isinstance(one, str) else one)}:
                if len(token) > 1 and not EVERYWHERE.fullmatch(token):
                    assert not [where for where, text in shown.items() if told_in(token, text)], (log.name, kind, token)


ID = st.integers(0, 1 << 60).map(lambda number: hashlib.sha256(str(number).encode()).hexdigest())
WORD = st.from_regex(r"[a-z]{3}[a-z0-9]{3,8}q[0-9]", fullmatch=True)


@examples(20)
@given(
    host=WORD, user=WORD, folder=WORD, service=WORD, container=ID,
    pod=ID.map(lambda number: str(UUID(number[:32]))),
    secret=WORD, uid=st.sampled_from([1234, 54321, 61234]),
)  # fmt: skip
def test_no_name_in_any_place_gets_out(
    tmp_path_factory: pytest.TempPathFactory, host: str, user: str, folder: str, service: str, container: str, pod: str,
    secret: str, uid: int,
) -> None:  # fmt: skip
    prefix = f"Nov 28 18:33:06 {host}"
    memcg = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{pod.replace('-', '_')}.slice/cri-containerd-{container}.scope"
    killed = (
        f"total-vm:83624kB, anon-rss:71864kB, file-rss:0kB, shmem-rss:0kB, UID:{uid} pgtables:204kB oom_score_adj:0"
    )
    log = f"""{prefix} kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg={memcg},task_memcg={memcg},task=prep,pid=173,uid={uid}
{prefix} kernel: Memory cgroup out of memory: Killed process 173 (prep) {killed}
{prefix} kernel: Out of memory: Killed process 174 (prep) {killed}
{prefix} systemd[1]: {service}.service: A process of this unit has been killed by the OOM killer.
{prefix} systemd[1]: {service}.service: Failed with result 'oom-kill'.
{prefix} earlyoom[800]: sending SIGTERM to process 12006 uid {uid} "prep": badness 209, VmRSS 2891 MiB, cmdline "prep --key {secret} /home/{user}/{folder}"
{prefix} systemd-oomd[172]: Killed /user.slice/user-{uid}.slice/user@{uid}.service/app.slice/{service}.service due to memory used (600924160) / total (605257728)
/home/{user}/run.sh: line 3: 12345 Killed                  python train.py --token {secret} /home/{user}/{folder}
slurmstepd: error: Detected 1 oom_kill event in StepId=118231.13. Some of the step tasks have been OOM Killed.
srun: error: {host}: task 0: Out Of Memory
"""
    file = tmp_path_factory.mktemp(folder) / "kern.log"
    file.write_text(log)
    plain, shown = diagnose(file, every=True), outputs(file)
    everything = json.dumps(replace(plain, every=True).to_json()) + screen(
        replace(plain, every=True, verbose=True).render()
    )
    assert container in everything and str(uid) in everything and service in everything  # the test can fail
    short = container[:12]
    for token in (
        host,
        user,
        folder,
        service,
        container,
        short,
        pod,
        pod.replace("-", "_"),
        secret,
        str(uid),
        str(file),
    ):
        # Numbers of users are given anew from 1000001 on, so that digits alone may be in another number.
        bound = rf"(?<!\d){re.escape(token)}(?!\d)" if token.isdigit() else re.escape(token)
        assert not [where for where, text in shown.items() if re.search(bound, text)], token


def test_the_same_name_has_the_same_label_everywhere(tmp_path: Path) -> None:
    killed = "total-vm:83624kB, anon-rss:71864kB, file-rss:0kB, shmem-rss:0kB, UID:{} pgtables:204kB oom_score_adj:0"
    one, two = "a" * 64, "b" * 64
    file = tmp_path / "kern.log"
    file.write_text(
        "".join(
            f"[{number}.0] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/docker-{container}.scope,"
            f"task_memcg=/system.slice/docker-{container}.scope,task=prep,pid=17{number},uid={uid}\n"
            f"[{number}.1] Memory cgroup out of memory: Killed process 17{number} (prep) {killed.format(uid)}\n"
            for number, container, uid in ((1, one, 1000), (2, two, 1001), (3, one, 1000), (4, two, 0))
        )
    )
    found = diagnose(file, every=True, redact=True).to_json()
    events = found["events"]
    assert isinstance(events, list)
    places = [event["oom_memcg"] for event in events]
    assert places[0] == places[2] != places[1] == places[3]
    assert all(re.fullmatch(r"/system\.slice/docker-c0000[12]0{58}\.scope", place) for place in places)
    assert [event["victims"][0]["uid"] for event in events] == [1000001, 1000002, 1000001, 0]
    assert len({event["cause"]["limit_owner"] for event in events}) == 2
    assert all("container c0000" in event["cause"]["limit_owner"] for event in events)
    for event, place in zip(events, places, strict=True):
        assert f"oom_memcg={place}," in event["evidence"]["constraint"]


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_any_line_is_redacted_again_to_the_same(line: str) -> None:
    """Whatever is in it, nothing is raised, and a second time everything has its label already."""
    redactor = Redactor()
    assert redactor.line(line) == redactor.line(line)


def test_a_label_is_no_word_of_the_log() -> None:
    redactor = Redactor(frozenset({"host-1", "host-2"}))
    assert redactor.label("host", "alpha") == "host-3"


def test_what_slurm_itself_calls_a_step_stays(tmp_path: Path) -> None:
    log = tmp_path / "sacct.txt"
    log.write_text("User|JobID|JobName|State\nannika|4711|secretprj|OUT_OF_MEMORY\n|4711.batch|batch|OUT_OF_MEMORY\n")
    screen = str(diagnose(log, redact=True).render())
    assert "job 4711, step batch" in screen
    assert "annika" not in screen
    assert "secretprj" not in screen
