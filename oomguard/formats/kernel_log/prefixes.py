"""What loggers put before a kernel message: taken off, whatever it is and however many are stacked.

Sources: man pages dmesg(1), journalctl(1), systemd.journal-fields(7), rsyslogd(8); RFC 3164 and 5424;
Linux Documentation/ABI/testing/dev-kmsg; kernel/printk/printk.c, print_prefix(); Docker's json-file and Kubernetes'
CRI log formats.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from oomguard.formats.kernel_log.records import LogTime

_DEEPEST = 8  # prefixes that may be stacked: CRI around rsyslog around printk around a mail's "> "

_HOST = r"(?:(?P<host>[^\s\[\]]{0,254}[^\s:\[\]]) )?"
_IDENT = r"(?P<ident>[^\s:\[\]]{1,64})(?:\[(?P<pid>[0-9]{1,10})\])?: ?"
_SYSLOG = re.compile(
    r"(?P<time>(?:[^\W\d]{2,5}\.? {1,2}[0-9]{1,2}|[0-9]{1,2} [^\W\d]{2,5}\.?) [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?) "
    + _HOST + _IDENT
)  # fmt: skip
_ISO = re.compile(
    r"(?:[^\W\d]{2,5}\.? )?(?P<time>(?:[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}|[0-9]{2}[./][0-9]{2}[./][0-9]{4})[T ,]{1,2}"
    r"[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{1,9})?)"
    r" ?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2}|(?!INFO|WARN|DEBU|ERRO|CRIT|FATA|TRAC|NOTI|LOG)[A-Z]{3,4}(?= ))?:?(?: |$|,(?=[\"\w\[]))"
)
# logread of OpenWrt (busybox): "Mon Apr 12 18:29:48 2021 kern.warn kernel: "
_LOGREAD = re.compile(
    r"(?P<time>[^\W\d]{2,5} [^\W\d]{2,5} {1,2}[0-9]{1,2} [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}) (?P<facility>[a-z0-9]{2,10})\.[a-z]{3,8} "
    + _IDENT
)  # fmt: skip
# logcat -v threadtime, the year of which nobody writes: "10-24 14:24:26.342   710   710 I lowmemorykiller: "
_LOGCAT = re.compile(
    r"(?P<time>[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3})\s+(?P<pid>[0-9]{1,10})\s+[0-9]{1,10} [VDIWEFS] (?P<ident>[^:]{0,64}?)\s*: "
)
# What Python's and others' loggers put after the time.
_LOGGER = re.compile(
    r"(?:- )?(?:[\w.]{1,80} - )?\[?(?:INFO|WARNING|WARN|ERROR|DEBUG|CRITICAL|FATAL|NOTICE|TRACE|LOG)\]?:?(?: - | {1,4}|$)"
)
# A progress bar of tqdm, after which something else was written on the same line.
_BAR = re.compile(r"[^\[\]|]{0,80}?[0-9]{1,3}%\|[^|]{0,200}\| ?[^\[\]]{0,60}\[[^\[\]]{0,100}\](?=[^\s,])")
_COLOUR = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
# After a time alone anything may follow ("active_anon:5366"), so only names that no kernel line begins with count.
_NAMED = re.compile(
    _HOST + r"(?P<ident>kernel|[^\s:\[\]]{1,64}(?=\[[0-9]{1,10}\]:)|systemd[\w-]*|slurm\w+|kubelet|containerd|dockerd?|earlyoom"
    r"|nohang[\w-]*|oomd|sudo|rsyslogd[\w-]*)(?:\[(?P<pid>[0-9]{1,10})\])?: ?"
)  # fmt: skip
_CRI = re.compile(r"(?:stdout|stderr) [FP] ")
_RFC5424 = re.compile(
    r"<(?P<priority>[0-9]{1,3})>1 (?P<time>\S{1,40}) (?P<host>\S{1,255}) (?P<ident>\S{1,48}) (?P<pid>\S{1,128}) \S{1,32} "
    r"(?:-|\[(?:[^\]\\]|\\.){0,4096}\]) ?\ufeff?"
)
_PRIORITY = re.compile(r"<(?P<priority>[0-9]{1,3})>")
_KMSG = re.compile(r"(?P<priority>[0-9]{1,5}),[0-9]{1,20},(?P<micros>[0-9]{1,20}),[^;]{1,80};")
_LEVELS = re.compile(
    r"(?:(?P<host>\S{1,255}): )?(?P<facility>kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7]) *: *"
    r"(?:emerg|alert|crit|err|warn|warning|notice|info|debug) *: ?"
)
_MONOTONIC = re.compile(r"\[ *(?P<seconds>[0-9]{1,10}\.[0-9]{1,9})(?: +< *[0-9]{1,10}\.[0-9]{1,9}>)?\] ?")
_DELTA = re.compile(r"\[< *[0-9]{1,10}\.[0-9]{1,9}>\] ?")
_BRACKETED = re.compile(
    r"\[(?P<time>[^\[\]]{0,48}?[0-9]{1,2}:[0-9]{2}:[0-9]{2}[^\[\]]{0,24}|[^\W\d]{2,5}\.? ?[0-9]{1,2} [0-9]{2}:[0-9]{2}|(?: *\+[0-9.]{3,20}))\]:? ?"
)
_GLOG = re.compile(r"(?<=[0-9]) [A-Z] [0-9]{1,10} [0-9]{1,10}$")  # Ray: level, process and thread behind the time
_CALLER = re.compile(r"\[ *[TC][0-9]{1,10}\] ?")
_UNIX = re.compile(r"(?P<epoch>[0-9]{9,11}\.[0-9]{6}) ")
_QUOTE = re.compile(r"(?:> ?){1,8}")
# Blanks before one of these are a code block's; before anything else they continue a message of several lines. The
# name and number of `grep -n` likewise.
_INDENTED = re.compile(
    r"(?:[ \t]{1,40}|(?:[\w./~+-]{1,200}[:-])?[0-9]{1,9}(?::|-(?![0-9]))|[\w./~+-]{0,200}\.(?:log|txt|gz|[0-9]+):|[\w.-]{1,64}: )(?=\[ *[0-9]{1,10}\.[0-9]{1,9}[ \]]|<[0-9]{1,3}>\[|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:|[^\W\d]{3} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} \S|[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.)"
)
_DROPPED = re.compile(r"\*\* [0-9]{1,10} printk messages dropped \*\* ?")
_KERNEL = re.compile(r"kernel: ?")
_TAG = re.compile(r"[\w.-]{1,80}: (?=\{\")")  # fluentd, between its time and its JSON; server-sent events
_EPOCH_COLUMN = re.compile(r"[0-9]{10,19},(?=[0-9]{4}-[0-9]{2}-)")  # Loki's export, before the time
_SECONDS = re.compile(r"(?P<seconds>[0-9]{1,8}\.[0-9]{6}): ")
_FIELD = re.compile(
    r'\s{0,32}(?:"?(?P<key>MESSAGE|msg|__REALTIME_TIMESTAMP)"?|"(?P<json>textPayload|message|@message|log|line)")(?:=|\s?:\s?)(?P<value>.*)',
    re.DOTALL,
)
_MESSAGE_KEYS = ("MESSAGE", "log", "message", "msg", "textPayload", "@message", "line", "Body", "body")
_MESSAGES = re.compile(r'"(?:textPayload|message|@message|log|line|msg|MESSAGE)"\s?:\s?"((?:[^"\\]|\\.){1,60000})"')
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


class LogLine:
    """One message without its prefix. `ident` is the program it came from, `host` the machine; None: not told."""

    __slots__ = ("host", "ident", "pid", "prefixed", "raw", "text", "time")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.text = raw
        self.time: LogTime | None = None
        self.host: str | None = None
        self.ident: str | None = None
        self.pid: int | None = None
        self.prefixed = False

    @property
    def from_kernel(self) -> bool:
        """Whether nothing says that a program other than the kernel wrote it."""
        return self.ident is None or self.ident == "kernel"

    def set_time(self, text: str, *, epoch: float | None = None, monotonic: float | None = None) -> None:
        """Note a time that a prefix tells."""
        # The outermost clock that names the day wins; the kernel's own seconds are kept beside it.
        if self.time is None:
            self.time = LogTime(text=text, epoch=epoch, monotonic=monotonic)
        elif monotonic is not None and self.time.monotonic is None:
            self.time = LogTime(text=self.time.text, epoch=self.time.epoch, monotonic=monotonic)


def peel(raw: str) -> LogLine:
    """Take every known prefix off a line. Raises: nothing; an unknown prefix stays part of the text."""
    line = LogLine(raw)
    if "\x1b" in raw:
        line.text = _COLOUR.sub("", raw)
    line.text = line.text.removeprefix("\x1e")  # before each entry of journalctl -o json-seq
    for _ in range(_DEEPEST):
        before = line.text
        first = before[:1]
        if first in '{ \t"M' and _peel_field(line):
            if "\x1b" in line.text:
                line.text = _COLOUR.sub("", line.text)
            continue
        if (first in " \t" or (not line.prefixed and (":" in before[:240] or "-" in before[:240]))) and (
            indent := _INDENTED.match(before)
        ):
            line.host = line.host or (indent[0][:-2].strip() if indent[0].endswith(": ") else None)
            line.text = before[indent.end() :]
            continue
        if "%|" in before[:120] and (bar := _BAR.match(before)):
            line.text = before[bar.end() :]
            continue
        _peel_one(line, first)
        if line.text is before:
            break
    return line


def _peel_one(line: LogLine, first: str) -> None:
    if first == "[":
        _peel_bracket(line)
    elif first == "<":
        _peel_priority(line)
    elif first in (">", "*") and (found := _QUOTE.match(line.text) or _DROPPED.match(line.text)):
        line.text = line.text[found.end() :]
    elif first.isdigit() and _peel_digits(line):
        pass
    else:
        _peel_words(line)


def _peel_words(line: LogLine) -> None:
    if found := _ISO.match(line.text):
        _peel_iso(line, found)
    elif found := _LOGREAD.match(line.text):
        line.set_time(found["time"])
        _name(line, found["ident"] if found["facility"] == "kern" else found["facility"], found["pid"])
        _take(line, found)
    elif found := _SYSLOG.match(line.text):
        line.set_time(found["time"])
        _name(line, found["ident"], found["pid"])
        _take(line, found)
    elif found := _LEVELS.match(line.text):
        if found["facility"] != "kern":
            line.ident = line.ident or found["facility"]
        _take(line, found)
    elif found := _KERNEL.match(line.text):
        line.ident = line.ident or "kernel"
        _take(line, found)
    elif (line.prefixed or line.text.startswith("data: {")) and (found := _TAG.match(line.text)):
        _take(line, found)


def _peel_priority(line: LogLine) -> None:
    if found := _RFC5424.match(line.text):
        line.set_time(found["time"], epoch=parse_iso(found["time"]))
        _name(line, found["ident"], found["pid"])
        _take(line, found)
    elif found := _PRIORITY.match(line.text):
        _facility(line, int(found["priority"]))
        _take(line, found)


def _peel_digits(line: LogLine) -> bool:
    if found := _KMSG.match(line.text):
        seconds = int(found["micros"]) / 1e6
        line.set_time(f"[{seconds:.6f}]", monotonic=seconds)
        _facility(line, int(found["priority"]))
        _take(line, found)
        line.text = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), line.text)
    elif found := _LOGCAT.match(line.text):
        line.set_time(found["time"])
        said = f"{found['ident']}: " if found["pid"] == "0" and found["ident"] else ""  # the kernel's, cut at a colon
        _name(line, "kernel" if found["pid"] == "0" else found["ident"], found["pid"])
        _take(line, found)
        line.text = said + line.text
    elif found := _EPOCH_COLUMN.match(line.text):
        _take(line, found)
    elif found := _SECONDS.match(line.text):
        line.set_time(f"[{found['seconds']}]", monotonic=float(found["seconds"]))
        _take(line, found)
    elif found := _UNIX.match(line.text):
        line.set_time(found["epoch"], epoch=float(found["epoch"]))
        _take(line, found)
        _take_named(line)
    return found is not None


def _peel_bracket(line: LogLine) -> None:
    if found := _MONOTONIC.match(line.text):
        line.set_time(found[0].strip(), monotonic=float(found["seconds"]))
        _take(line, found)
        _take_named(line)  # journalctl -o short-monotonic
    elif found := _BRACKETED.match(line.text):
        time = _GLOG.sub("", found["time"]).strip()
        line.set_time(time, epoch=parse_iso(time))
        _take(line, found)
    elif found := _DELTA.match(line.text) or _CALLER.match(line.text):
        _take(line, found)


def _peel_iso(line: LogLine, found: re.Match[str]) -> None:
    is_column = found[0].endswith(",")
    line.set_time(found[0].strip().rstrip(":,"), epoch=parse_iso(f"{found['time']}{found['zone'] or ''}"))
    _take(line, found)
    if is_column and line.text[:1] == line.text[-1:] == '"':
        line.text = line.text[1:-1].replace('""', '"').replace('\\"', '"')
    if cri := _CRI.match(line.text):
        _take(line, cri)
    else:
        if logger := _LOGGER.match(line.text):
            _take(line, logger)
        _take_named(line)


def _take_named(line: LogLine) -> None:
    if named := _NAMED.match(line.text):
        _name(line, named["ident"], named["pid"])
        _take(line, named)


def _take(line: LogLine, found: re.Match[str]) -> None:
    if line.host is None and "host" in found.re.groupindex:
        line.host = found["host"]
    line.text = line.text[found.end() :]
    line.prefixed = True


def _name(line: LogLine, ident: str, pid: str | None) -> None:
    if line.ident is None:
        line.ident = ident
        line.pid = int(pid) if pid and pid.isdigit() and len(pid) <= 10 else None


def _facility(line: LogLine, priority: int) -> None:
    if priority >> 3 and line.ident is None:  # facility 0 is the kernel; a program wrote this one to /dev/kmsg
        line.ident = "user"


def _peel_json(line: LogLine) -> bool:
    """Take the message out of an object of JSON."""
    try:
        entry = json.loads(line.text)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and _take_entry(line, entry)


def _peel_field(line: LogLine) -> bool:
    """Take the message out of JSON, of one field of pretty-printed JSON, or of journalctl's export format."""
    text = line.text
    if text.startswith("{"):
        return _peel_json(line)
    found = _FIELD.match(text)
    if found is None or found["key"] == "__REALTIME_TIMESTAMP" or (found["json"] and found["value"][:1] != '"'):
        return False
    value = found["value"].rstrip().rstrip(",")
    if value.startswith('"'):
        try:
            value = str(json.loads(value))
        except ValueError:
            return False
    elif text.lstrip().startswith('"'):
        return False
    line.text, line.prefixed = value, True
    return True


def _take_entry(line: LogLine, entry: dict[str, object]) -> bool:
    message = next((entry[key] for key in _MESSAGE_KEYS if isinstance(entry.get(key), str | list)), None)
    if message is None and isinstance(payload := entry.get("jsonPayload"), dict):
        message = next((payload[key] for key in _MESSAGE_KEYS if isinstance(payload.get(key), str)), None)
    if isinstance(message, list):  # journald's way to write what is no UTF-8
        message = bytes(byte for byte in message if isinstance(byte, int) and 0 <= byte < 256).decode(errors="replace")
    if not isinstance(message, str):
        return False
    _time_of_entry(line, entry)
    if entry.get("_TRANSPORT") == "kernel":
        _name(line, "kernel", None)
    elif isinstance(ident := entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM"), str):
        _name(line, ident[:64], str(entry.get("_PID", "")))
    line.text, line.prefixed = message.rstrip("\n"), True
    return True


def messages_of_json(line: str) -> list[str]:
    """The messages of a JSON export that holds several on one line, in order; empty: it is another kind of line.

    A line that was cut, as a long one is, gives the messages that are whole.
    """
    if line[:1] not in "{[," or line.count('":') < 4:
        return []
    found = [match[1] for match in _MESSAGES.finditer(line)]
    if len(found) < 2:
        return []
    texts = []
    for text in found:
        try:
            texts.append(str(json.loads(f'"{text}"')).rstrip("\n"))
        except ValueError:
            continue
    return texts


def _time_of_entry(line: LogLine, entry: dict[str, object]) -> None:
    micros, stamp = (
        str(entry.get("__REALTIME_TIMESTAMP", "")),
        entry.get("time") or entry.get("timestamp") or entry.get("receiveTimestamp"),
    )
    if micros.isdigit() and len(micros) <= 17:
        when = datetime.fromtimestamp(int(micros) / 1e6, UTC)
        line.set_time(when.isoformat(timespec="seconds"), epoch=int(micros) / 1e6)
        own = str(entry.get("_SOURCE_MONOTONIC_TIMESTAMP", ""))
        if own.isdigit() and len(own) <= 17:
            line.set_time("", monotonic=int(own) / 1e6)
    elif isinstance(stamp, str):
        line.set_time(stamp[:64], epoch=parse_iso(stamp))
    elif isinstance(stamp, int | float):
        line.set_time(f"[{stamp}]", monotonic=float(stamp))


def parse_iso(text: str) -> float | None:
    """Read a time with its zone; None if it has no zone, or is none."""
    try:
        when = datetime.fromisoformat(text.strip().replace(",", ".", 1))
    except ValueError:
        return None
    return when.timestamp() if when.tzinfo is not None else None
