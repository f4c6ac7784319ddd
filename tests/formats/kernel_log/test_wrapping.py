"""Reports in what programs, consoles and exports put around each line: the same answer as of the bare log."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from oomguard.formats.kernel_log import OomEvent
from oomguard.formats.kernel_log.log_stream import find_in_blocks, find_newest
from tests.formats.kernel_log.log_renderings import RENDERERS
from tests.formats.kernel_log.test_prefixes import RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable

BARE = RENDERERS["dmesg"](RECORDS).splitlines()
UNSTAMPED = RENDERERS["none"](RECORDS).splitlines()


def _csv(lines: list[str]) -> str:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(["2024-05-06T12:00:00.1Z", "node17", line] for line in lines)
    return file.getvalue()


WRAPPED: dict[str, Callable[[], str]] = {
    "strings in a list": lambda: "".join(f"  {json.dumps(line)},\n" for line in BARE),
    "Python's list, a line each": lambda: "".join(f"  {line!r},\n" for line in BARE),
    "Python's list on one line": lambda: repr([f"{line}\n" for line in BARE]),
    "JSON, pretty": lambda: json.dumps({"stdout_lines": BARE}, indent=2),
    "JSON on one line": lambda: json.dumps({"dmesg": BARE}),
    "JSON, all in one string": lambda: json.dumps({"stdout": "\n".join(BARE)}),
    "Python's bytes": lambda: repr("\n".join(BARE).encode()),
    "CSV, the message last": lambda: _csv(BARE),
    "CSV, the message first": lambda: "".join(f'"May  6 12:00:01 n7 kernel: {line}","{index}",n7\n' for index, line in enumerate(BARE)),
    "rows of JSON": lambda: json.dumps({"rows": [["2024-05-06T12:00:01Z", line] for line in BARE]}),
    "Elasticsearch": lambda: "\n".join(json.dumps({"_source": {"@timestamp": "2024-05-06T12:00:01Z", "message": line, "host": {"name": "n7"}}}) for line in BARE),
    "ESXi": lambda: "".join(f"2024-05-06T12:00:01.{index:03}Z cpu5:2097654){line}\n" for index, line in enumerate(UNSTAMPED)),
    "a facility in words": lambda: "".join(f"May  6 12:00:01 box user.notice kernel: {line}\n" for line in UNSTAMPED),
    "MediaTek": lambda: "".join(f"<4>[ 1234.{index:06}]  (3)[6010:python3]{line}\n" for index, line in enumerate(UNSTAMPED)),
    "Samsung": lambda: "".join(f"<4>[ 1234.{index:06}]  [{index % 8}:   stress-ng-vm: 60{index}] {line}\n" for index, line in enumerate(UNSTAMPED)),
    "logcat's kernel buffer": lambda: "".join(f"05-06 12:00:01.{index:03}     0     0 W         : {line}\n" for index, line in enumerate(UNSTAMPED)),
    "server-sent events": lambda: "\n\n".join(f"data: {line}" for line in RENDERERS["journal json"](RECORDS).splitlines()),
    "journalctl -o json-seq": lambda: "".join(f"\x1e{line}\n" for line in RENDERERS["journal json"](RECORDS).splitlines()),
}  # fmt: skip


def _facts(text: str) -> list[tuple[object, ...]]:
    """What must not be lost: the time is told in other ways."""
    events = [finding for finding in find_in_blocks([text.encode()]) if isinstance(finding, OomEvent)]
    return [
        (
            event.trigger_name, event.constraint, event.victims, event.oom_memcg, event.memcg, event.mem_info, event.tasks,
            event.outcome, event.missing, event.quoted,
        )
        for event in events
    ]  # fmt: skip


@pytest.mark.parametrize("name", WRAPPED)
def test_a_wrapped_report_is_the_report(name: str) -> None:
    assert _facts(WRAPPED[name]()) == _facts("\n".join(BARE))


def test_a_program_that_quotes_a_kill_is_still_no_kernel() -> None:
    line = next(line for line in UNSTAMPED if "Killed process" in line)
    text = "".join(f'I0506 12:00:0{index}.1  912 watcher.go:33] "{line}"\n' for index in range(4))
    events = [finding for finding in find_in_blocks([text.encode()]) if isinstance(finding, OomEvent)]
    assert [event.quoted for event in events] == [True]


def test_a_string_that_is_longer_than_any_line_is_read_to_its_end() -> None:
    """`dmesg` in one string of JSON: a report at its end, after more than a block of other messages."""
    noise = [f"[ {index:5}.000000] usb 1-1: new high-speed USB device number {index}" for index in range(9000)]
    text = json.dumps({"stdout": "\n".join([*noise, *BARE])}).encode()
    assert len(text) > 500_000
    found, before = find_newest([text[place : place + 65536] for place in range(0, len(text), 65536)])
    pids = [victim.pid for finding in found if isinstance(finding, OomEvent) for victim in finding.victims]
    expected = [
        victim.pid
        for finding in find_in_blocks(["\n".join(BARE).encode()])
        for victim in getattr(finding, "victims", ())
    ]
    assert (pids, before) == (expected, 0)


def _mixed(of_one: list[str], of_other: list[str]) -> str:
    """Three lines of one machine, two of the other, and so on."""
    lines: list[str] = []
    while of_one or of_other:
        lines += [*of_one[:3], *of_other[:2]]
        del of_one[:3], of_other[:2]
    return "\n".join(lines)


def test_lines_without_a_time_are_of_the_machine_whose_label_they_have() -> None:
    """`pdsh dmesg` labels the further lines of a record as well, which have no time."""
    alone = _facts("\n".join(BARE))
    one, other = [f"node1: {line}" for line in BARE], [f"node2: {line.replace('python3', 'java')}" for line in BARE]
    mixed = _facts(_mixed(one, other))
    assert len(mixed) == 2 * len(alone)
    assert [facts for facts in mixed if facts in alone] == alone


@pytest.mark.parametrize("prefix", ["{}: ", "May  6 12:00:01 {} kernel: ", "2024-05-06T12:00:01+02:00 {} kernel: "])
def test_machines_whose_lines_come_in_between_each_other(prefix: str) -> None:
    """`pdsh dmesg`, or a machine that collects the logs of others: nobody's report is cut by another's."""
    bare = [line for line in BARE if line.startswith("[")]
    alone = _facts("\n".join(bare))
    one = [prefix.format("node1") + line for line in bare]
    other = [prefix.format("node2") + line.replace("python3", "java") for line in bare]
    mixed = _facts(_mixed(one, other))
    assert len(mixed) == 2 * len(alone)
    assert [facts for facts in mixed if facts in alone] == alone
