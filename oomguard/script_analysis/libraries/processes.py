"""Other programs and servers: what they answer is read whole, or in pieces."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from oomguard.script_analysis.interpreter.values import AbstractValue, text_source

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call, Handler, Methods
    from oomguard.script_analysis.interpreter.expressions import Expressions

# Programs whose output is a few lines.
_SMALL = frozenset({
    "git", "nproc", "which", "uname", "hostname", "nvidia-smi", "wc", "date", "df", "du", "python", "python3", "pip",
    "id", "whoami", "free", "lscpu", "stat", "sysctl", "lsb_release", "ldconfig", "gcc", "make", "mkdir", "rm", "cp",
    "mv", "ps", "uptime", "nvcc", "conda", "sha256sum", "md5sum", "file", "test", "sinfo", "scontrol", "squeue",
})  # fmt: skip


def _program(node: ast.Call) -> str:
    """Give the program's name as far as it stands in the script."""
    command = node.args[0] if node.args else None
    if isinstance(command, (ast.List, ast.Tuple)) and command.elts:
        command = command.elts[0]
    if isinstance(command, ast.Constant) and isinstance(command.value, str):
        return (command.value.split() or [""])[0].rpartition("/")[2]
    return "python" if "sys.executable" in text_source(command) else ""


def _output(it: Expressions, call: Call) -> AbstractValue:
    """check_output: all that a program writes."""
    if _program(call.node) in _SMALL:
        return it.memory.new("line")
    it.memory.read_at(call.node)
    text = any(name in call.kwargs for name in ("text", "encoding", "universal_newlines"))
    return it.memory.make("whole-read", call.node, "text" if text else "bytes", 1.0)


def _run(it: Expressions, call: Call) -> AbstractValue:
    """subprocess.run: what it captures is whole."""
    piped = "PIPE" in text_source(call.node)
    captures = call.kwargs.get("capture_output")
    if not piped and (captures is None or not captures.value):
        return it.memory.new("unknown")
    made = it.memory.new("unknown")
    made.parts["stdout"] = _output(it, call)
    return made


def _popen(it: Expressions, _: Call) -> AbstractValue:
    """Popen: its pipes are files."""
    pipe = it.memory.new("file", item=AbstractValue(kind="line", of_input=True))
    return it.memory.new("process", parts={"stdout": pipe, "stdin": AbstractValue(kind="output")})


def _process(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "communicate" and _program(call.node) not in _SMALL:
        it.memory.read_at(call.node)
        whole = it.memory.make("whole-read", call.node, "bytes", 1.0)
        return it.memory.new("tuple", parts={"0": whole, "1": AbstractValue()})
    return call.owner if call.name == "__enter__" else AbstractValue(kind="number")


def _request(it: Expressions, _: Call) -> AbstractValue:
    """requests.get: the answer is whole where its text or content is taken, and it is kept."""
    return it.memory.new("response")


def _response(_: Expressions, call: Call) -> AbstractValue | None:
    if call.name in ("iter_content", "iter_lines", "iter_bytes", "iter_text", "iter_raw"):
        return None
    return AbstractValue() if call.name != "__enter__" else call.owner


def _bounded(it: Expressions, call: Call) -> AbstractValue:
    """Our own: it keeps the budget that it is given."""
    it.memory.read_at(call.node)
    return it.memory.new("number")


def _database(it: Expressions, call: Call) -> AbstractValue | None:
    """sqlite3: rows come one by one, or all at once."""
    if call.name in ("execute", "cursor", "executescript"):
        query = call.args[0].value if call.args else None
        if isinstance(query, str) and not query.lstrip().lower().startswith(("select", "with")):
            return it.memory.new("database")
        if call.name == "cursor" or query is None:
            return it.memory.new("database")
        return it.memory.new("rows_by_one", fraction=1.0, item=AbstractValue(kind="record", of_input=True))
    return _rows(it, call) if call.name.startswith("fetch") else AbstractValue()


def _rows(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "fetchall":
        return fetch_all(it, call)
    if call.name == "fetchmany":
        it.memory.advance(call.owner)
        return it.memory.new("rows", of_input=True)
    return it.memory.new("record", of_input=True)


def fetch_all(it: Expressions, call: Call) -> AbstractValue:
    """cursor.fetchall(): every row as a tuple."""
    it.memory.read_at(call.node)
    return it.memory.make("list-of-input", call.node, "rows", 1.0)


FUNCTIONS: dict[str, Handler] = {
    **dict.fromkeys(("subprocess.check_output", "subprocess.getoutput"), _output),
    "subprocess.run": _run,
    **dict.fromkeys(("subprocess.Popen", "os.popen"), _popen),
    **dict.fromkeys(("requests.get", "requests.post", "httpx.get", "requests.request"), _request),
    **dict.fromkeys(("oomguard.prepare", "oomguard.run", "oomguard.convert"), _bounded),
    "sqlite3.connect": lambda it, _: it.memory.new("database"),
}
METHODS: Methods = (
    (frozenset({"process"}), _process),
    (frozenset({"response"}), _response),
    (frozenset({"database"}), _database),
    (frozenset({"rows_by_one"}), _rows),
)
