"""Other processes: pools and threads, other programs and servers; what they take in, and what they keep."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from oomguard.script_analysis.file_names import is_small_file
from oomguard.script_analysis.interpreter.calls import ANYWHERE, FUNCTIONS, LAST_NAMES, methods_of
from oomguard.script_analysis.interpreter.values import LIST_OF, AbstractValue, text_source
from oomguard.script_analysis.libraries.python import same
from oomguard.script_analysis.libraries.tokenizers import apply

if TYPE_CHECKING:
    from oomguard.script_analysis.interpreter.calls import Call
    from oomguard.script_analysis.interpreter.expressions import Expressions


# Pools of processes and threads: what they take in before they start, and what they keep.

_FEW_RECORDS = 50_000  # of a log: about a kilobyte each
_LISTS = {"map", "starmap", "map_async", "starmap_async"}
_STREAMS = {"imap", "imap_unordered", "istarmap"}
_MAKERS = ("Pool", "ThreadPool", "ProcessPoolExecutor", "ThreadPoolExecutor")


def collect_results(it: Expressions, node: ast.AST, args: list[AbstractValue]) -> AbstractValue:
    """Joblib's Parallel(...)(calls): a list of all results."""
    source = args[0] if args else AbstractValue()
    kind = LIST_OF.get(source.one().kind)
    if source.fraction <= 0 or kind is None:
        return it.memory.new("list")
    return it.memory.make("pool-map", node, kind, source.fraction)


def use_pool(it: Expressions, call: Call) -> AbstractValue | None:
    """A pool's map, imap, apply_async, submit."""
    if call.name in ("apply_async", "submit", "apply") and call.args:
        given = call.args[1:]
        if call.name != "submit" and given and given[0].kind == "tuple":  # apply_async(f, (a, b))
            given = list(given[0].parts.values())
        with it.memory.loop(0.0):
            result = apply(it, call.node, call.args[0], *given)
        if call.name == "apply":
            return result
        return it.memory.new("future", item=result, of_input=result.of_input or result.fraction > 0)
    if call.name not in _LISTS | _STREAMS or len(call.args) < 2:
        return call.owner if call.name == "__enter__" else AbstractValue()
    source = it.iterated(call.args[1])
    lazy = call.name in _STREAMS or "buffersize" in call.kwargs
    with it.memory.loop(source.fraction):
        result = apply(it, call.node, call.args[0], source.one())
    if lazy:
        if "imap" in call.name:
            it.memory.assumptions[call.node.lineno] = (
                "the loop must keep up with the workers: imap keeps every result that the loop has not taken yet"
            )
        return it.memory.new("stream", fraction=source.fraction, item=result, of_input=True, parts={"of": source})
    kind = LIST_OF.get(result.kind) if result.of_input or result.fraction > 0 else None
    queued = LIST_OF.get(source.one().kind) if source.kind in ("stream", "file") else None
    fraction = max(source.fraction, result.fraction)
    if fraction <= 0 or (kind is None and queued is None):
        return it.memory.new("list")
    more = it.memory.cost(AbstractValue(kind=queued, fraction=fraction)) if queued else 0.0
    if kind is None:
        it.memory.report("pool-map", call.node, queued or "", held=more, each=source.each)
        it.memory.note_peak(more, line=call.node.lineno)
        return it.memory.new("list")
    return it.memory.make("pool-map", call.node, kind, fraction, more=more)


def _make_queue(it: Expressions, call: Call) -> AbstractValue:
    given = call.kwargs.get("maxsize") or (call.args[0] if call.args else None)
    bounded = given is not None and not (isinstance(given.value, int) and given.value <= 0)
    return it.memory.new("queue", value="" if bounded else "unbounded")


def _use_queue(it: Expressions, call: Call) -> AbstractValue:
    """A queue without a maximum keeps all that its readers have not taken yet."""
    if call.name in ("Queue", "JoinableQueue"):  # of a Manager
        return _make_queue(it, call)
    if call.name in ("list", "dict"):
        return it.memory.new(call.name)
    if call.name in ("put", "put_nowait") and call.owner.value == "unbounded":
        put = call.args[0] if call.args else AbstractValue()
        parts = [put, *put.parts.values()]
        loops = [loop for loop in it.memory.loops if loop.fraction > 0 and loop.number not in call.owner.born]
        if loops and any(one.of_input for one in parts):
            it.memory.cannot_see(call.node, "a queue without maxsize keeps all that its readers have not taken yet")
    return AbstractValue(of_input=call.name.startswith("get"))


def _gathered(it: Expressions, call: Call) -> AbstractValue:
    """ray.get: the results of what is given, all at once."""
    given = call.args[0] if call.args else AbstractValue()
    item = given.item.item if given.item is not None and given.item.kind == "future" else given.item
    if given.kind == "future":
        return given.item or AbstractValue()
    kind = LIST_OF.get(item.kind) if item is not None else None
    if given.fraction <= 0 or kind is None:
        return it.memory.new("list", item=item, of_input=given.of_input)
    return it.memory.make("pool-map", call.node, kind, given.fraction)


def _start(it: Expressions, call: Call) -> AbstractValue:
    """Thread(target=f, args=(...)) and Process: the function runs with these."""
    target, given = call.kwargs.get("target"), call.kwargs.get("args", AbstractValue())
    args = list(given.parts.values()) if given.kind == "tuple" else []
    if target is not None and target.kind in ("function", "bound"):
        with it.memory.loop(0.0):
            it.call(call.node, target, args, {})
    return it.memory.new("worker", item=it.largest([one for one in args if one.of_input and one.fraction <= 0]))


def _task(_: Expressions, call: Call) -> AbstractValue | None:
    """What gives the coroutine that it is given, as asyncio's create_task does."""
    return call.args[0] if call.args and call.args[0].kind == "future" else None


def _start_soon(it: Expressions, call: Call) -> AbstractValue | None:
    """`start_soon(function, *args)` of trio and anyio: a task that keeps what it was given until it ends."""
    if not call.args:
        return None
    with it.memory.loop(0.0):
        apply(it, call.node, *call.args)
    if any(loop.fraction > 0 and loop.number not in call.owner.born for loop in it.memory.loops):
        it.memory.cannot_see(
            call.node, "starts a task for each piece of the input; how many wait at once cannot be seen here"
        )
    return AbstractValue(kind="none")


def _run_coroutine(_: Expressions, call: Call) -> AbstractValue | None:
    """asyncio.run(main())."""
    given = call.args[0] if call.args else AbstractValue()
    return given.parts.get("result", given) if given.kind == "future" else None


def _submit(it: Expressions, call: Call) -> AbstractValue | None:
    return use_pool(it, call) if call.args else None


def _map_with(it: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind in ("unknown", "parameter") and len(call.args) > 1:
        return use_pool(it, call) or AbstractValue()
    return None


def _when_done(it: Expressions, call: Call) -> AbstractValue | None:
    """add_done_callback: called once, with the future."""
    if not call.args:
        return None
    result = AbstractValue(kind="document", of_input=True)
    done = call.owner if call.owner.kind == "future" else AbstractValue(kind="future", of_input=True, item=result)
    apply(it, call.node, call.args[0], done)
    submitted = isinstance(call.node.func, ast.Attribute) and isinstance(call.node.func.value, ast.Call)
    if submitted and any(loop.fraction > 0 and not loop.bounded for loop in it.memory.loops):
        it.memory.cannot_see(call.node, "tasks wait in a queue without a limit until a worker takes them")
    return AbstractValue(kind="none")


def _result(_: Expressions, call: Call) -> AbstractValue | None:
    if call.owner.kind == "future":
        return call.owner.item
    return call.owner if call.owner.fraction > 0 else None


def _remote(it: Expressions, call: Call) -> AbstractValue | None:
    """`f.remote(x)` of ray, `f.delay(x)` of celery: a result that is not there yet."""
    if call.owner.kind != "function":
        return None
    result = it.call_function(call.owner, call.args, call.kwargs)
    return it.memory.new("future", item=result, of_input=result.of_input)


def _keep_records(it: Expressions, call: Call) -> AbstractValue:
    """MemoryHandler and QueueHandler of logging: records wait, up to a number, or for who takes them from the queue."""
    given = call.args[0] if call.args else call.kwargs.get("capacity", AbstractValue())
    few = isinstance(given.value, int) and given.value <= _FEW_RECORDS
    if not few and not (given.kind == "queue" and given.value != "unbounded"):
        it.memory.cannot_see(call.node, "keeps log records until there are very many, or until they are taken")
    return it.memory.new("output")


FUNCTIONS.update(
    {
        **dict.fromkeys(
            ("logging.handlers.MemoryHandler", "logging.handlers.BufferingHandler", "logging.handlers.QueueHandler"),
            _keep_records,
        ),
        "joblib.Parallel": lambda it, _: it.memory.new("parallel"),
        "joblib.delayed": same,
        **dict.fromkeys(
            ("concurrent.futures.as_completed", "futures.as_completed", "asyncio.as_completed"),
            lambda it, call: it.iterated(call.args[0]) if call.args else AbstractValue(),
        ),
        **dict.fromkeys(
            (
                "multiprocessing.Queue",
                "multiprocessing.JoinableQueue",
                "multiprocessing.SimpleQueue",
                "queue.Queue",
                "queue.SimpleQueue",
                "queue.LifoQueue",
                "queue.PriorityQueue",
                "asyncio.Queue",
                "asyncio.LifoQueue",
                "asyncio.PriorityQueue",
                "multiprocessing.Manager",
            ),
            _make_queue,
        ),
        "ray.get": _gathered,
        **dict.fromkeys(("asyncio.create_task", "asyncio.ensure_future", "asyncio.wait_for", "asyncio.shield"), _task),
        "asyncio.run": _run_coroutine,
        "asyncio.TaskGroup": lambda it, _: it.memory.new("set"),
    }
)
LAST_NAMES.update(
    {
        **dict.fromkeys(_MAKERS, lambda it, _: it.memory.new("pool")),
        **dict.fromkeys(("Thread", "Process"), _start),
    }
)
methods_of({"pool"}, use_pool)
methods_of({"queue"}, _use_queue)
ANYWHERE.update(
    {
        "submit": _submit,
        **dict.fromkeys(("map", "apply", "imap"), _map_with),
        **dict.fromkeys(("get", "result", "wait"), _result),
        **dict.fromkeys(("remote", "delay"), _remote),
        "create_task": _task,
        "add_done_callback": _when_done,
        "start_soon": _start_soon,
        "run_until_complete": _run_coroutine,
    }
)


# Other programs and servers: what they answer is read whole, or in pieces.

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
