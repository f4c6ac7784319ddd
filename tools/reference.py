"""Write what is generated of the documentation: docs/cli.md, docs/api.md, docs/systems.md and man/oomguard.1.

`python tools/reference.py` writes all of it; `... man` the man page alone. tests/test_reference.py compares.
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
_WIDTH = 100
# It runs long enough that a profile has samples, lines and processes to show.
_SCRIPT = (
    "import time\ntext = open('text.txt').read()\nids = [i for _ in range(20) for i in text.encode()]\ntime.sleep(1)\n"
)
_JSON_TYPES = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    list: "list",
    dict: "object",
    type(None): "null in this example",
}
_EXIT_STATUS = {
    "0": "done; check: it fits; diagnose: a kill explained",
    "1": "failed, refused; check: it does not fit; doctor --strict: a check found something to improve",
    "2": "the command line cannot be parsed; check: any error",
    "3": "check: it cannot say; diagnose: no kill was found, or none matched the filter",
    "124": "profile: --fail-over: the peak was higher than SIZE",
    "125": "run, profile, swap --for: oomguard itself failed, or wrong arguments",
    "126, 127": "run, profile, swap --for: the program cannot be run, or is not found",
    "137": "run, profile: the program was stopped at its budget",
    "128+N": "ended by signal N",
}  # fmt: skip


def commands() -> list[str]:
    """Every command's name with those of the groups above it, in the order of `oomguard --help`."""
    from typer.main import get_command

    from oomguard.cli.app import app

    found: list[str] = []

    def visit(name: str, command: Any) -> None:
        found.append(name)
        below = getattr(command, "commands", {})
        names = command.list_commands(None) if below and name == "oomguard" else list(below)
        for child in names:
            visit(f"{name} {child}", below[child])

    visit("oomguard", get_command(app))
    return found


# One process shows them all: Typer reads the width when it is imported, and starting Python takes longer than the rest.
_SHOW = """
import json, sys
from contextlib import suppress, redirect_stdout
from io import StringIO
from oomguard.cli.app import main
shown = {}
for name in sys.argv[1:]:
    sys.argv = [*name.split(), "--help"]
    with redirect_stdout(StringIO()) as said, suppress(SystemExit):
        main()
    shown[name] = said.getvalue()
json.dump(shown, sys.stdout)
"""


@cache
def helps(columns: int) -> dict[str, str]:
    """What each command's `--help` shows on a terminal so wide."""
    width = str(columns)
    environment = {**os.environ, "COLUMNS": width, "TERMINAL_WIDTH": width, "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", _SHOW, *commands()]
    run = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
    return json.loads(run.stdout)  # type: ignore[no-any-return]  # a text for each name


def help_of(name: str) -> str:
    """What `--help` shows on a terminal of 80 columns."""
    return helps(80)[name].rstrip()


def cli_page() -> str:
    """docs/cli.md."""
    parts = ["# Every command and flag\n", "Generated from `--help` (`make docs`).\n"]
    parts += [f"{'##' if name.count(' ') < 2 else '###'} {name}\n\n```\n{help_of(name)}\n```\n" for name in commands()]
    rows = "\n".join(f"| {status} | {meaning} |" for status, meaning in _EXIT_STATUS.items())
    parts.append(f"## Exit status\n\n| status | meaning |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


def api_page() -> str:
    """docs/api.md."""
    import oomguard

    errors: list[str] = []
    rest: list[str] = []
    for name in oomguard.__all__:
        thing = getattr(oomguard, name)
        (errors if inspect.isclass(thing) and issubclass(thing, Exception) else rest).append(name)
    parts = [
        "# The library\n",
        "Generated from the docstrings (`make docs`). All of it is imported from `oomguard`; nothing heavy is loaded",
        "before it is used. Sizes are integers of bytes, times are in seconds.\n",
    ]
    for name in rest:
        thing = getattr(oomguard, name)
        signature = _signature(name, thing)
        parts.append(f"## {name}\n\n```python\n{signature}\n```\n\n{_doc(thing)}\n")
        if inspect.isclass(thing):
            parts += _members(thing)
    parts.append("## Errors\n\nEach carries `do`, the next step, and `exit_status`, what the command line ends with.\n")
    rows = "\n".join(_error_row(getattr(oomguard, name)) for name in errors)
    parts.append(f"| error | is a | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def json_page() -> str:
    """docs/json.md, from what the commands print here."""
    parts = [
        "# JSON\n",
        "Generated from what the commands print (`make docs`). Each document names its schema; the number in it is",
        "raised when a key changes its meaning or is removed, and new keys may be added at any time. Sizes are",
        "integers of bytes, times are in seconds, shares from 0 to 1 unless the name says percent. `null`: not known,",
        "or not applicable.\n",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for title, document in json_documents(Path(folder)):
            parts.append(f"## {document['schema']}\n\n{title}\n\n| key | type |\n|---|---|")
            parts += [f"| `{key}` | {kind} |" for key, kind in key_types(document)]
            parts.append("")
    return "\n".join(parts)


def json_documents(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Run each command on something small, and give what it prints with a line about it."""
    (folder / "script.py").write_text(_SCRIPT)
    (folder / "text.txt").write_text("It was the best of times, it was the worst of times.\n" * 4000)
    log = str(ROOT / "tests/captures/kernel_log/three-kills-6.1.log")
    for title, arguments in (
        ("`diagnose --json`", ("diagnose", "--log", log, "--json")),
        ("`check --json`", ("check", "script.py", "--input", "text.txt", "--json")),
        ("`profile --json`, `report --json`", ("profile", "--json", "-o", "p", "--", sys.executable, "script.py")),
        ("`plan --json`", ("plan", "text.txt", "--no-calibration", "--json")),
        ("`prepare --dry-run --json`", ("prepare", "text.txt", "--dry-run", "--json")),
        ("`prepare --json`", ("prepare", "text.txt", "--quiet", "--json")),
        # Long enough to be seen: the largest process of a shorter one is a number in one run, and null in the next.
        ("`run --json`, `run --report FILE`", ("run", "--max-rss", "64M", "--json", "--", "sleep", "1")),
        ("`swap status --json`", ("swap", "status", "--json")),
        ("`doctor --json`", ("doctor", "--json")),
    ):
        command = [sys.executable, "-m", "oomguard", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        text = next(line for line in (done.stdout + done.stderr).splitlines() if line.startswith("{"))
        yield f"Printed by {title}.", json.loads(text)


def key_types(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Give each key of a document with its type, those of objects inside of it as `outer.inner`, `list[].inner`."""
    for key, inner in value.items():
        name = f"{path}{key}"
        kind = _JSON_TYPES[type(inner)]
        sample = inner[0] if isinstance(inner, list) and inner else inner
        yield name, kind
        if isinstance(sample, dict) and path.count(".") < 1 and all(map(str.isidentifier, sample)):
            yield from key_types(sample, f"{name}{'[]' if isinstance(inner, list) else ''}.")


def man_page() -> str:
    """man/oomguard.1, in man(7): all commands on one page."""
    from typer.main import get_command

    from oomguard.cli.app import app

    root = get_command(app)
    parts = [
        f'.TH OOMGUARD 1 "" "oomguard {version("oomguard")}" "User Commands"',
        ".SH NAME",
        f"oomguard \\- {_roff(_first(root))}",
        ".SH SYNOPSIS",
        ".B oomguard\n.I COMMAND\n[\\fIOPTIONS\\fR] ...",
        ".SH COMMANDS",
    ]
    parts += [f".SS {_roff(name)}\n.nf\n{_roff(help_of(name))}\n.fi" for name in commands()[1:]]
    parts.append(".SH EXIT STATUS")
    parts += [f".TP\n.B {status}\n{_roff(meaning)}" for status, meaning in _EXIT_STATUS.items()]
    parts.append(".SH ENVIRONMENT")
    parts.append(".TP\n.B NO_COLOR\nWith any value: no colour. There is none in a pipe, nor with TERM=dumb.")
    parts.append(".TP\n.B TIKTOKEN_CACHE_DIR\nWhere tiktoken keeps the ranks of encodings other than gpt2.")
    parts.append(".SH SEE ALSO\n.BR cgroups (7),\n.BR proc (5),\n.BR systemd-oomd (8),\n.BR swapon (8)")
    return "\n".join(parts) + "\n"


def _first(command: Any) -> str:
    return str(command.help or "").partition("\n")[0]


def _roff(text: str) -> str:
    """Escape what roff would obey: backslashes, hyphens, and a dot or a quote at the beginning of a line."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.splitlines())


def _signature(name: str, thing: Any) -> str:
    """As one writes it: a parameter a line where they are many; a default that has no short text is `...`."""
    try:
        signature = inspect.signature(thing)
    except ValueError:
        return name
    shown, star = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        default = "" if parameter.default is parameter.empty else f" = {_default(parameter.default)}"
        shown.append(f"{parameter.name}: {parameter.annotation}{default}")
    gives = "" if inspect.isclass(thing) else f" -> {signature.return_annotation}"
    line = f"{name}({', '.join(shown)}){gives}"
    return line if len(line) <= _WIDTH else f"{name}(\n" + "".join(f"    {each},\n" for each in shown) + f"){gives}"


def _default(value: Any) -> str:
    text = f'Path("{value}")' if isinstance(value, Path) else repr(value)
    return "..." if callable(value) or text.startswith("<") else text


def _doc(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def _members(thing: type) -> list[str]:
    """The public methods and properties of a class that have a docstring of their own."""
    found = []
    for name, member in vars(thing).items():
        what = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if not name.startswith("_") and inspect.isfunction(what) and what.__doc__:
            shown = name if isinstance(member, property) else f"{name}()"
            found.append(f"- `{shown}`: {' '.join(_doc(what).split())}")
    return ["\n".join(found) + "\n"] if found else []


def _error_row(error: type) -> str:
    bases = ", ".join(base.__name__ for base in error.__bases__ if base is not Exception)
    return f"| `{error.__name__}` | {bases} | {' '.join(_doc(error).split())} |"


_INTRODUCTION = """\
Besides the kernel's own log in all its forms ([diagnose.md](diagnose.md)): messages of these programs.
Written by `make docs` from the table in `oomguard/diagnosis/killers/`. A message is recognised whatever
surrounds it: timestamps, prefixes, colours, progress bars, quotes, JSON."""
_SAYS = {
    "kill": "Something was ended for lack of memory",
    "sigkill": "A SIGKILL, or a sudden end, whose sender and reason the text does not name",
    "elsewhere": "Something other than the host's memory ran out, or memory was refused, and nothing was killed",
}


def systems_page() -> str:
    """docs/systems.md: what `diagnose` recognises beside the kernel's own log, out of the table of killers."""
    from oomguard.diagnosis.killers import KILLERS

    parts = [
        "# What `oomguard diagnose` recognises",
        _INTRODUCTION,
    ]
    for says, title in _SAYS.items():
        rows = [_system_row(killer) for killer in KILLERS if killer.says == says]
        head = "| | who or what | read from the lines around | wordings | |\n|---|---|---|---:|---|"
        parts += [f"## {title}", "\n".join([head, *rows])]
    return "\n\n".join(parts) + "\n"


def _system_row(killer: Any) -> str:
    """An entry of the table, with a wording that quotes no line of the kernel's: this page is no log."""
    facts = dict.fromkeys(fact.key.replace("_", " ") for fact in killer.facts)
    kills = [wording.example.strip() for wording in killer.wordings if wording.kind == "kill"]
    example = next(each for each in kills if "Killed process" not in each).replace("|", "\\|")
    short = example if len(example) <= _WIDTH else f"{example[:_WIDTH].rstrip()}..."
    read = ", ".join(facts) or "-"
    habit = f": {killer.habit}" if killer.habit else ""
    return f"| `{killer.ident}` | {killer.what}{habit} | {read} | {len(killer.wordings)} | such as `{short}` |"


PAGES = {
    "docs/cli.md": cli_page,
    "docs/json.md": json_page,
    "docs/api.md": api_page,
    "docs/systems.md": systems_page,
    "man/oomguard.1": man_page,
}


def main() -> None:
    """Write the pages."""
    sys.path.insert(0, str(ROOT))
    only = sys.argv[1:]
    for file, page in PAGES.items():
        if not only or any(file.startswith(word) for word in only):
            (ROOT / file).parent.mkdir(exist_ok=True)
            (ROOT / file).write_text(page(), encoding="utf-8")
            print(file)


if __name__ == "__main__":
    main()
