"""The same kernel messages as each logger writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

Record = tuple[float, str]  # seconds since boot; the text, which may have several lines
Renderer = Callable[[list[Record]], str]

BOOT = datetime(2026, 11, 22, 21, 43, 38, tzinfo=UTC)


def read_records(dmesg: str) -> list[Record]:
    """Read `dmesg`'s own format back: a line without a time stamp belongs to the record before."""
    records: list[Record] = []
    for line in dmesg.splitlines():
        if line.startswith("["):
            stamp, _, text = line[1:].partition("] ")
            records.append((float(stamp), text))
        elif records:
            seconds, text = records[-1]
            records[-1] = (seconds, f"{text}\n{line.removeprefix(' ' * 15)}")
    return records


def _when(seconds: float) -> datetime:
    return BOOT + timedelta(seconds=seconds)


def _each_line(prefix: Callable[[float], str]) -> Renderer:
    """Repeat the prefix on each line of a record, as consoles and files do."""

    def render(records: list[Record]) -> str:
        return "".join(f"{prefix(seconds)}{line}\n" for seconds, text in records for line in text.split("\n"))

    return render


def _indented(prefix: Callable[[float], str]) -> Renderer:
    """Indent the further lines of a record, as dmesg and journalctl do."""

    def render(records: list[Record]) -> str:
        lines = []
        for seconds, text in records:
            first, *more = text.split("\n")
            lines += [f"{prefix(seconds)}{first}", *(f"{' ' * len(prefix(seconds))}{line}" for line in more)]
        return "\n".join(lines) + "\n"

    return render


def _day(names: list[str], months: list[str], form: str) -> Callable[[float], str]:
    def prefix(seconds: float) -> str:
        when = _when(seconds)
        return form.format(
            day=names[when.weekday()],
            month=months[when.month - 1],
            d=when.day,
            time=when.strftime("%H:%M:%S"),
            y=when.year,
        )

    return prefix


GERMAN = (
    ["Mo", "Di", "Mi", "Do", "Fr", "Sa", "So"],
    ["Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez"],
)
FRENCH = (
    ["lun.", "mar.", "mer.", "jeu.", "ven.", "sam.", "dim."],
    ["janv.", "févr.", "mars", "avril", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."],
)
CHINESE = (list("一二三四五六日"), [f"{month:2}月" for month in range(1, 13)])
ENGLISH = (
    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"],
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
)


def _syslog(seconds: float) -> str:
    return _when(seconds).strftime("%b %e %H:%M:%S host kernel: ")


def _kmsg(records: list[Record]) -> str:
    lines = []
    for number, (seconds, text) in enumerate(records):
        escaped = text.replace("\\", "\\x5c").replace("\n", "\\x0a")
        lines.append(f"4,{number + 300},{round(seconds * 1e6)},-,caller=T12845;{escaped}")
        if number % 40 == 7:
            lines += [" SUBSYSTEM=cpu", " DEVICE=+cpu:cpu1"]
    return "\n".join(lines) + "\n"


def _journal_json(as_bytes: bool = False) -> Renderer:
    def render(records: list[Record]) -> str:
        lines = []
        for seconds, text in records:
            micros = round(_when(seconds).timestamp() * 1e6)
            message: object = list(text.encode()) if as_bytes else text
            lines.append(
                json.dumps(
                    {
                        "_TRANSPORT": "kernel",
                        "SYSLOG_IDENTIFIER": "kernel",
                        "PRIORITY": "4",
                        "MESSAGE": message,
                        "__REALTIME_TIMESTAMP": str(micros),
                        "_SOURCE_MONOTONIC_TIMESTAMP": str(round(seconds * 1e6)),
                    },
                    separators=(",", ":"),
                )
            )  # fmt: skip - as journalctl does
        return "\n".join(lines) + "\n"

    return render


def _docker(records: list[Record]) -> str:
    inner = RENDERERS["dmesg"](records)
    stamp = "2026-11-22T21:44:00.123456789Z"
    return "".join(
        json.dumps({"log": f"{line}\n", "stream": "stderr", "time": stamp}) + "\n" for line in inner.splitlines()
    )


def _cri(records: list[Record]) -> str:
    return "".join(
        f"2026-11-22T21:44:00.123456789Z stderr F {line}\n" for line in RENDERERS["dmesg"](records).splitlines()
    )


def _dmesg_json(records: list[Record]) -> str:
    entries = [{"pri": 4, "time": seconds, "msg": text} for seconds, text in records]
    return json.dumps({"dmesg": entries}, indent=3, ensure_ascii=False)


def _quoted(records: list[Record]) -> str:
    return "".join(f"> > {line}\n" for line in RENDERERS["dmesg"](records).splitlines())


def _rsyslog_octal(records: list[Record]) -> str:
    return "".join(
        f"{_syslog(seconds)}[{seconds:12.6f}] {text.replace(chr(10), '#012')}\n" for seconds, text in records
    )


def _deltas(records: list[Record]) -> str:
    before = 0.0
    lines = []
    for seconds, text in records:
        stamp = f"[{seconds:12.6f} <{seconds - before:12.6f}>] "
        first, *more = text.split("\n")
        lines += [f"{stamp}{first}", *(f"{' ' * len(stamp)}{line}" for line in more)]
        before = seconds
    return "\n".join(lines) + "\n"


def _coloured(records: list[Record]) -> str:
    lines = []
    for seconds, text in records:
        first, *more = text.split("\n")
        lines += [f"\x1b[32m[{seconds:12.6f}] \x1b[0m\x1b[33m{first}\x1b[0m", *(f"{' ' * 15}{line}" for line in more)]
    return "\n".join(lines) + "\n"


def _text_payload(records: list[Record]) -> str:
    lines = [
        json.dumps(
            {"insertId": "x", "textPayload": f"[{seconds:12.6f}] {line}", "receiveTimestamp": "2026-11-22T21:44:00.1Z"}
        )
        for seconds, text in records
        for line in text.split("\n")
    ]
    return "\n".join(lines) + "\n"


def _cloudwatch(records: list[Record]) -> str:
    """aws logs get-log-events --output json, on one line."""
    events = [
        {
            "timestamp": round(_when(seconds).timestamp() * 1000),
            "message": f"[{seconds:12.6f}] {line}",
            "ingestionTime": 1,
        }
        for seconds, text in records
        for line in text.split("\n")
    ]
    return json.dumps({"events": events, "nextForwardToken": "f/1"}) + "\n"


def _cloud_logging_pretty(records: list[Record]) -> str:
    """gcloud logging read --format json."""
    entries = [
        {"insertId": f"{number}", "textPayload": f"[{seconds:12.6f}] {line}", "severity": "ERROR"}
        for number, (seconds, text) in enumerate(records)
        for line in text.split("\n")
    ]
    return json.dumps(entries, indent=2) + "\n"


def _newest_first(render: str) -> Renderer:
    """Each record whole, the last one first: journalctl -r."""

    def reverse(records: list[Record]) -> str:
        return "".join(RENDERERS[render]([record]) for record in reversed(records))

    return reverse


RENDERERS: dict[str, Renderer] = {
    "dmesg -d": _deltas,
    "dmesg --color=always": _coloured,
    "Cloud Logging": _text_payload,
    "Cloud Logging, pretty": _cloud_logging_pretty,
    "CloudWatch": _cloudwatch,
    "journalctl -r": _newest_first("journal short-precise"),
    "Loki, Kibana": _newest_first("console"),
    "OpenWrt logread": _each_line(lambda s: _when(s).strftime("%a %b %e %H:%M:%S %Y kern.warn kernel: ") + f"[{s:12.6f}] "),
    "German day": _each_line(lambda s: _when(s).strftime("%d.%m.%Y %H:%M:%S host kernel: ")),
    "slashes": _each_line(lambda s: _when(s).strftime("%Y/%m/%d %H:%M:%S kernel: ")),
    "a code block": _each_line(lambda s: f"        [{s:12.6f}] "),
    "a mail with a code block": _each_line(lambda s: f"> >     [{s:12.6f}] "),
    "grep -n": _each_line(lambda s: f"12:{_syslog(s)}"),
    "grep -rn": _each_line(lambda s: f"/var/log/kern.log.1:12:{_syslog(s)}"),
    "pdsh": _each_line(lambda s: f"n7: [{s:12.6f}] "),
    "none": _each_line(lambda _: ""),
    "dmesg": _indented(lambda s: f"[{s:12.6f}] "),
    "console": _each_line(lambda s: f"[{s:12.6f}] "),
    "caller": _each_line(lambda s: f"[{s:12.6f}][ T6736] "),
    "caller on a processor": _each_line(lambda s: f"[{s:12.6f}][    C0] "),
    "dmesg -T": _indented(_day(*ENGLISH, "[{day} {month} {d:2} {time} {y}] ")),
    "dmesg -T, German": _indented(_day(*GERMAN, "[{day} {month} {d:2} {time} {y}] ")),
    "dmesg -T, French": _indented(_day(*FRENCH, "[{day} {d} {month} {time} {y}] ")),
    "dmesg -T, Chinese": _indented(_day(*CHINESE, "[{day} {month} {d:2} {time} {y}] ")),
    "dmesg --time-format iso": _indented(lambda s: f"{_when(s).strftime('%Y-%m-%dT%H:%M:%S')},123456+00:00 "),
    "dmesg -r": _indented(lambda s: f"<4>[{s:12.6f}] "),
    "dmesg -x": _indented(lambda s: f"kern  :warn  : [{s:12.6f}] "),
    "dmesg --reltime": _indented(lambda s: f"[{f'+{s % 1:.6f}':>12}] "),
    "dmesg --json": _dmesg_json,
    "/dev/kmsg": _kmsg,
    "talos": _each_line(lambda s: f"10.0.0.7: kern:    info: [{_when(s).strftime('%Y-%m-%dT%H:%M:%S.5Z')}]: "),
    "journal short": _indented(_syslog),
    "journal short-precise": _indented(lambda s: _when(s).strftime("%b %d %H:%M:%S.%f host kernel: ")),
    "journal short-iso": _indented(lambda s: _when(s).strftime("%Y-%m-%dT%H:%M:%S+0000 host kernel: ")),
    "journal short-full": _indented(lambda s: _when(s).strftime("%a %Y-%m-%d %H:%M:%S UTC host kernel: ")),
    "journal short-monotonic": _indented(lambda s: f"[{s:12.6f}] host kernel: "),
    "journal short-unix": _indented(lambda s: f"{_when(s).timestamp():.6f} host kernel: "),
    "journal json": _journal_json(),
    "journal json, bytes": _journal_json(as_bytes=True),
    "rsyslog": _each_line(lambda s: f"{_syslog(s)}[{s:12.6f}] "),
    "rsyslog, no space": _each_line(lambda s: f"{_syslog(s).rstrip()}[{s:12.6f}] "),
    "rsyslog, #012": _rsyslog_octal,
    "rsyslog ISO": _each_line(lambda s: f"{_when(s).strftime('%Y-%m-%dT%H:%M:%S.983+00:00')} host kernel: [{s:12.6f}] "),
    "RFC 5424": _each_line(lambda s: f"<4>1 {_when(s).strftime('%Y-%m-%dT%H:%M:%S.983Z')} host kernel - - - [{s:12.6f}] "),
    "RFC 5424 with data": _each_line(lambda s: f'<4>1 {_when(s).strftime("%Y-%m-%dT%H:%M:%S.983Z")} host kernel - - [meta seq="1" q="a\\]b"] '),
    "docker json": _docker,
    "CRI": _cri,
    "mail": _quoted,
}  # fmt: skip


def stacked(outer: str, records: list[Record], inner: str) -> str:
    """What one logger wrote, logged by another, a line at a time."""
    lines = RENDERERS[inner](records).splitlines()
    return RENDERERS[outer]([(records[0][0], line) for line in lines])


def lines_of(text: str) -> Iterator[str]:
    return iter(text.split("\n"))
