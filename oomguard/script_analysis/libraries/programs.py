"""Other programs, servers and databases: what they answer is read whole, or in pieces."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file
from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, methods_of
from oomguard.script_analysis.interpreter.values import AbstractValue, text_source

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions

# Programs whose output is a few lines.
_SMALL = frozenset({
    "git", "nproc", "which", "uname", "hostname", "nvidia-smi", "wc", "date", "df", "du", "python", "python3", "pip",
    "id", "whoami", "free", "lscpu", "stat", "sysctl", "lsb_release", "ldconfig", "gcc", "make", "mkdir", "rm", "cp",
    "mv", "ps", "uptime", "nvcc", "conda", "sha256sum", "md5sum", "file", "test", "sinfo", "scontrol", "squeue",
})  # fmt: skip


# Programs that take their input piece by piece, or spill to disk.
_STREAMING = frozenset({
    "zcat", "gzip", "gunzip", "cat", "head", "tail", "grep", "zgrep", "sed", "cut", "tr", "zstd", "zstdcat", "pigz",
    "xz", "xzcat", "bzip2", "bzcat", "curl", "wget", "tar", "unzip", "rsync", "split", "paste", "tee", "sort", "uniq",
    "echo", "chmod", "ln", "touch", "aws", "gsutil", "scp", "ssh", "sync", "bash", "sh", "sleep",
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
    _start_program(it, call)
    piped = "PIPE" in text_source(call.node)
    captures = call.kwargs.get("capture_output")
    if not piped and (captures is None or not captures.value):
        return it.memory.new("unknown")
    made = it.memory.new("unknown")
    made.parts["stdout"] = _output(it, call)
    return made


def _start_program(it: Expressions, call: Call) -> AbstractValue:
    """Another program, which may hold anything."""
    name = _program(call.node)
    if name not in _SMALL and name not in _STREAMING:
        it.memory.cannot_see(
            call.node, f"starts another program{f' ({name})' if name else ''}: what it holds cannot be seen here"
        )
    return AbstractValue(kind="number")


def _popen(it: Expressions, call: Call) -> AbstractValue:
    """Popen: its pipes are files."""
    _start_program(it, call)
    pipe = it.memory.new("file", item=AbstractValue(kind="line", of_input=True))
    return it.memory.new("process", parts={"stdout": pipe, "stdin": AbstractValue(kind="output")})


def _pickler(it: Expressions, call: Call) -> AbstractValue | None:
    """pickle.Pickler(file).dump(x): it remembers each object that it has written."""
    loops = [loop for loop in it.memory.loops if loop.fraction > 0 and loop.number not in call.owner.born]
    if call.name == "dump" and loops and any(one.of_input for one in call.args):
        it.memory.cannot_see(call.node, "a Pickler remembers all that it has written, until clear_memo()")
    return AbstractValue()


def _process(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "communicate" and _program(call.node) not in _SMALL:
        it.memory.read_at(call.node)
        whole = it.memory.make("whole-read", call.node, "bytes", 1.0)
        return it.memory.new("tuple", parts={"0": whole, "1": AbstractValue()})
    return call.owner if call.name == "__enter__" else AbstractValue(kind="number")


def _request(it: Expressions, _: Call) -> AbstractValue:
    """requests.get: the answer is whole where its text or content is taken, and it is kept."""
    return it.memory.new("response")


def _session(it: Expressions, call: Call) -> AbstractValue:
    """requests.Session().get(...): as requests.get."""
    known = ("get", "post", "put", "patch", "request", "send")
    return it.memory.new("response") if call.name in known else call.owner


def _response(it: Expressions, call: Call) -> AbstractValue | None:
    if call.name == "json":
        if not it.memory.loops and not is_small_file(call.hint):
            it.memory.cannot_see(call.node, "the answer is read whole, and its size is not known here")
        return it.memory.new("record", of_input=True)
    if call.name in ("iter_content", "iter_lines", "iter_bytes", "iter_text", "iter_raw"):
        return None
    return AbstractValue() if call.name != "__enter__" else call.owner


def _bounded(it: Expressions, call: Call) -> AbstractValue:
    """Our own: it keeps the budget that it is given."""
    it.memory.read_at(call.node)
    return it.memory.new("number")


def _database(it: Expressions, call: Call) -> AbstractValue | None:
    """sqlite3: rows come one by one, or all at once; a database in memory keeps what is put into it."""
    if call.owner.value == "memory" and call.name.startswith("execute") and it.memory.loops:
        parts = [part for one in call.args for part in (one, *one.parts.values())]
        if any(one.of_input for one in parts):
            it.memory.cannot_see(call.node, "a database in memory keeps what is put into it")
    if call.owner.value == "memory" and (
        (call.name.startswith("execute") and any(one.fraction > 0 for one in call.args)) or call.name == "deserialize"
    ):
        it.memory.cannot_see(call.node, "a database in memory keeps what is put into it")
    if call.name == "backup" and any(one.value == "memory" for one in call.args if one.kind == "database"):
        it.memory.read_at(call.node)
        it.memory.cannot_see(call.node, "copies a database into memory")
    if call.name in ("begin", "connect", "__enter__"):
        return call.owner
    if call.name in ("execute", "cursor", "executescript"):
        query = call.args[0].value if call.args else None
        if isinstance(query, str) and not query.lstrip().lower().startswith(("select", "with")):
            return it.memory.new("database", value=call.owner.value)
        if call.name == "cursor" or query is None:
            return it.memory.new("database", value=call.owner.value)
        return it.memory.new("rows_by_one", fraction=1.0, item=AbstractValue(kind="record", of_input=True))
    return _rows(it, call) if call.name.startswith("fetch") else AbstractValue()


def _connect(it: Expressions, call: Call) -> AbstractValue:
    name = (call.args[0] if call.args else call.kwargs.get("database", AbstractValue())).value
    return it.memory.new("database", value="memory" if isinstance(name, str) and ":memory:" in name else None)


def _engine(it: Expressions, call: Call) -> AbstractValue:
    """sqlalchemy.create_engine("sqlite://"): a database in memory."""
    name = call.args[0].value if call.args else None
    if isinstance(name, str) and (name in ("sqlite://", "sqlite:///") or ":memory:" in name):
        return it.memory.new("database", value="memory")
    return AbstractValue()


def _connect_duckdb(it: Expressions, call: Call) -> AbstractValue:
    """duckdb.connect(): in memory, unless it is given a file."""
    name = call.args[0].value if call.args else call.kwargs.get("database", AbstractValue()).value
    return it.memory.new("duckdb", named="memory" if not call.node.args or name == ":memory:" else "")


def _use_duckdb(it: Expressions, call: Call) -> AbstractValue | None:
    """A connection: what a query gives is not there before it is fetched; a table in memory is."""
    query = call.args[0].value if call.args else None
    makes = isinstance(query, str) and re.match(
        r"\s*(create\b(?!.*\bview\b)|insert|copy\b.*\bfrom)", query, re.IGNORECASE | re.DOTALL
    )
    if call.owner.named == "memory" and makes and call.name in ("execute", "sql", "query", "executemany"):
        it.memory.read_at(call.node)
        it.memory.cannot_see(call.node, "a database in memory keeps what is put into it")
    if call.name in ("cursor", "__enter__"):
        return call.owner
    return FUNCTIONS["duckdb.sql"](it, call) if call.name != "close" else AbstractValue()


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


def _fetch_all(it: Expressions, call: Call) -> AbstractValue | None:
    return fetch_all(it, call) if call.owner.kind in ("unknown", "parameter") else None


_QUERIES = re.compile(r"\b(query|scalars|execute|mappings|select)\(|\bobjects\b")


def _all_rows(it: Expressions, call: Call) -> AbstractValue | None:
    """`session.query(Document).all()`, `Document.objects.all()`: every row as an object."""
    if call.args or call.owner.kind not in ("unknown", "parameter") or not _QUERIES.search(text_source(call.node.func)):
        return None
    return fetch_all(it, call)


FUNCTIONS.update(
    {
        **dict.fromkeys(("subprocess.check_output", "subprocess.getoutput"), _output),
        "subprocess.run": _run,
        **dict.fromkeys(("subprocess.call", "subprocess.check_call", "os.system"), _start_program),
        **dict.fromkeys(
            ("subprocess.Popen", "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"), _popen
        ),
        "pickle.Pickler": lambda it, _: it.memory.new("pickler"),
        "duckdb.connect": _connect_duckdb,
        "sqlalchemy.create_engine": _engine,
        "os.popen": lambda it, call: _popen(it, call).parts["stdout"],
        **dict.fromkeys(("requests.get", "requests.post", "httpx.get", "requests.request"), _request),
        **dict.fromkeys(
            ("requests.Session", "requests.session", "httpx.Client", "requests.sessions.Session"),
            lambda it, _: it.memory.new("session"),
        ),
        **dict.fromkeys(("oomguard.prepare", "oomguard.run", "oomguard.convert"), _bounded),
        "sqlite3.connect": _connect,
    }
)
methods_of({"process"}, _process)
methods_of({"pickler"}, _pickler)
methods_of({"duckdb"}, _use_duckdb)
methods_of({"response"}, _response)
methods_of({"session"}, _session)
methods_of({"database"}, _database)
methods_of({"rows_by_one"}, _rows)
ANYWHERE.update(
    {
        "fetchall": _fetch_all,
        "all": _all_rows,
    }
)
