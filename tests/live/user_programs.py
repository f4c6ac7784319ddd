"""Programs as people have them, with a library between their line and the memory, or a process, or a thread.

Each passes its budget. Lines that end with "# here" are the user's own that may be shown first: the one that grows,
and those beside it at which the job may stand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """One of them. `needs` are modules; `files` what lies beside it."""

    text: str
    arguments: tuple[str, ...] = ()
    budget: str = "100M"
    needs: tuple[str, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()  # of `run`

    @property
    def lines(self) -> set[int]:
        return {number for number, line in enumerate(self.text.splitlines(), 1) if line.endswith("# here")}


_POOL = """import multiprocessing, sys, time
def work(number):
    held = []
    for _ in range(number):
        held.append(bytearray(b"x") * (1 << 20))  # here
        time.sleep(0.003)  # here
    return len(held)
if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        print(pool.map(work, [5, 300]))
"""
_EXECUTOR = """import concurrent.futures as cf, sys, time
def load(number):
    rows = []
    for _ in range(number):
        rows.append("x" * (1 << 20))  # here
        time.sleep(0.003)  # here
    return len(rows)
if __name__ == "__main__":
    kind = {"process": cf.ProcessPoolExecutor, "thread": cf.ThreadPoolExecutor}[sys.argv[1]]
    with kind(3) as executor:
        print(sum(executor.map(load, [5, 300, 5])))
"""
_READER = """class Reader:
    def __init__(self, path):
        self.f = open(path)
    def readline(self):
        return self.f.readline()
"""
_GROWS = """import time
held = []
while True:
    held.append(bytearray(b"x") * (1 << 20))  # here
    time.sleep(0.003)  # here
"""

PROGRAMS = {
    "fork": Program(_POOL, ("fork",)),
    "spawn": Program(_POOL, ("spawn",)),
    "forkserver": Program(_POOL, ("forkserver",)),
    "process pool executor": Program(_EXECUTOR, ("process",)),
    "thread pool executor": Program(_EXECUTOR, ("thread",)),
    "asyncio subprocess": Program(
        """import asyncio, sys
async def main():
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await child.wait()
    rows = []
    while True:
        rows.append([str(number) for number in range(20_000)])  # here
        await asyncio.sleep(0.002)  # here
asyncio.run(main())
"""
    ),
    "pool of 12": Program(
        """import multiprocessing, time
def work(number):
    held = []
    for _ in range(40):
        held.append(bytearray(b"x") * (1 << 20)); time.sleep(0.01)  # here
    return len(held)
if __name__ == "__main__":
    with multiprocessing.Pool(12) as pool:
        print(sum(pool.map(work, range(12))))
""",
        budget="200M",
    ),
    "60 processes": Program(
        """import os, time
for number in range(60):
    if not os.fork():
        held = []
        while True:
            held.append(bytearray(b"x") * (1 << 18)); time.sleep(0.03)  # here
time.sleep(60)
""",
        budget="200M",
    ),
    "words of a reader of another module": Program(
        """import sys
import gfile
docs = [[]]
reader = gfile.Reader(sys.argv[1])
while True:
    line = reader.readline()  # here
    if not line:
        break
    line = line.strip()  # here
    words = line.split()  # here
    if words:  # here
        docs[-1].append(words)  # here
""",
        ("words.txt",),
        files=(
            ("words.txt", "whale ship sea captain of the and a to in that his it\n" * 200_000),
            (
                "gfile.py",
                _READER,
            ),
        ),
    ),
    "copies after fork": Program(
        """import os, time
rows = [str(i) * 40 for i in range(250000)]
def worker():
    total = 0
    for r in rows:  # here
        x = r  # here
        total += len(x)  # here
    time.sleep(3)  # here
    os._exit(0)
kids = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        worker()
    kids.append(pid)
for k in kids:
    os.waitpid(k, 0)
""",
        budget="130M",
    ),
    "results that pile up": Program(
        """import multiprocessing as mp, time
def produce(i):
    return "x" * 200_000
if __name__ == "__main__":
    with mp.Pool(2) as pool:
        for n, text in enumerate(pool.imap(produce, range(3000))):  # here
            time.sleep(0.01)  # here
""",
    ),
    "threads that idle": Program(
        """import threading
def idle():
    threading.Event().wait()
for _ in range(3): threading.Thread(target=idle, daemon=True).start()
def fill():
    keep = []
    while True:
        keep.append(bytes(b"x") * (1 << 20))  # here
t = threading.Thread(target=fill); t.start(); t.join()
"""
    ),
    "a daemon": Program(
        """import os, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 1, 2): os.dup2(null, fd)
b = []
for i in range(300):
    b.append(bytearray(b"x") * (1 << 20)); time.sleep(0.003)  # here
""",
        options=("--wait=60",),
    ),
    "SIGTERM is ignored": Program("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + _GROWS),
    "shared memory": Program(
        """import numpy as np, time
from multiprocessing import shared_memory
s = []
for i in range(20):
    m = shared_memory.SharedMemory(create=True, size=10 << 20)  # here
    np.ndarray((10 << 20,), dtype=np.uint8, buffer=m.buf)[:] = 1  # here
    s.append(m); time.sleep(0.02)  # here
""",
        needs=("numpy",),
    ),
    "memfd": Program(
        """import os, time
kept = []
while True:
    fd = os.memfd_create("kept")
    os.write(fd, b"x" * (1 << 20))  # here
    kept.append(fd); time.sleep(0.003)  # here
"""
    ),
    "private mappings": Program(
        """import mmap, time
held = []
while True:
    one = mmap.mmap(-1, 4 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    one.write(b"x" * (4 << 20))  # here
    held.append(one); time.sleep(0.01)  # here
"""
    ),
    "a mapped file": Program(
        """import mmap, time
rows = []
with open("in.txt", "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    while line := mapped.readline():  # here
        rows.append(line.split())  # here
""",
        files=(("in.txt", "whale ship sea captain of the and a to in that his it\n" * 200_000),),
    ),
    "5,000 open files": Program(
        """import time
files = [open("/dev/null") for _ in range(5000)]
held = []
while True:
    held.append(bytearray(b"x") * (1 << 20))  # here
    time.sleep(0.003)  # here
""",
    ),
    "sqlite and csv": Program(
        """import csv, sqlite3
base = sqlite3.connect(":memory:")
base.execute("create table t (n, text)")
with open("in.csv") as file:
    for n, text in csv.reader(file):  # here
        base.execute("insert into t values (?, ?)", (n, text))  # here
""",
        files=(("in.csv", "".join(f"{n},{'whale ship sea captain ' * 20}\n" for n in range(150_000))),),
        budget="50M",
    ),
    "rows of Arrow as Python": Program(
        """import pyarrow as pa
table = pa.table({"n": range(50_000), "text": ["whale ship sea captain"] * 50_000})
held = []
for _ in range(100):
    held.append(table.to_pylist())  # here
""",
        needs=("pyarrow",),
        budget="250M",
    ),
    "pandas, words of a column": Program(
        """import pandas as pd
df = pd.DataFrame({"text": ["whale ship sea captain of the and a to in that his it"] * 400_000})
def tokens(frame):
    return frame["text"].str.split()  # here
df["w"] = tokens(df)
""",
        needs=("pandas",),
        budget="250M",
    ),
    "pandas, keys on both sides": Program(
        """import pandas as pd
a = pd.DataFrame({"k": [i % 300 for i in range(40000)], "v": range(40000)})
b = pd.DataFrame({"k": [i % 300 for i in range(40000)], "w": range(40000)})
m = a.merge(b, on="k")  # here
print(len(m))
""",
        needs=("pandas",),
        budget="150M",
    ),
    "polars": Program(
        """import polars as pl
frames = []
for n in range(10_000):
    frames.append(pl.DataFrame({"n": range(20_000)}).with_columns(m=pl.col("n") * 2))  # here
""",
        needs=("polars",),
        budget="200M",
    ),
    "duckdb": Program(
        """import duckdb
rows = []
base = duckdb.connect()
for n in range(1000):
    rows.append(base.execute("select range as n, 'a word ' || range as text from range(20000)").fetchall())  # here
""",
        needs=("duckdb",),
        budget="200M",
    ),
    "joblib": Program(
        """import time
from joblib import Parallel, delayed
import numpy as np
def feats(n):
    acc = []
    for i in range(n):
        acc.append(np.ones(1 << 17))  # here
        time.sleep(0.003)  # here
    return len(acc)
if __name__ == "__main__":
    print(Parallel(n_jobs=2)(delayed(feats)(n) for n in [5, 400]))
""",
        needs=("joblib", "numpy"),
        budget="200M",
    ),
    "datasets, a list of its rows": Program(
        """from datasets import Dataset
rows = Dataset.from_dict({"text": ["whale ship sea captain " * 4] * 200_000})
held = []
for _ in range(20):
    held.extend(list(rows))  # here
""",
        needs=("datasets",),
        budget="300M",
    ),
    "dask, threads": Program(
        """import dask.bag as db
def words(line):
    return line.split() * 20  # here
lines = db.from_sequence(["whale ship sea captain of the and"] * 200_000, npartitions=8)
print(len(lines.map(words).compute(scheduler="threads")))  # here
""",
        needs=("dask",),
        budget="200M",
    ),
    "dask, its own workers": Program(
        """from dask.distributed import Client, LocalCluster
import time
def fill(n):
    held = []
    for _ in range(n):
        held.append(bytearray(b"x") * (1 << 20))  # here
        time.sleep(0.003)  # here
    return len(held)
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, memory_limit=0) as cluster:
        with Client(cluster) as client:
            print(client.submit(fill, 600).result())
""",
        needs=("distributed",),
        budget="400M",
    ),
    "ray": Program(
        """import ray, time
ray.init(num_cpus=1, include_dashboard=False, object_store_memory=80 << 20, log_to_driver=False)
@ray.remote
def work():
    held = []
    while True:
        held.append(bytearray(b"x") * (1 << 20))  # here
        time.sleep(0.003)  # here
ray.get(work.remote())
""",
        needs=("ray",),
        budget="900M",
    ),
    "gunicorn": Program(
        """import sys
cache = []
def app(environ, start_response):
    cache.append(bytearray(b"x") * (1 << 20))  # here
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]
def asks():
    import socket, time
    while True:
        try:
            with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as one:
                one.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                one.recv(100)
        except OSError:
            time.sleep(0.1)
if __name__ == "__main__":
    import threading
    from gunicorn.app.base import BaseApplication
    class Server(BaseApplication):
        def load_config(self):
            self.cfg.set("bind", f"127.0.0.1:{sys.argv[1]}")
            self.cfg.set("workers", 1)
        def load(self):
            return app
    threading.Thread(target=asks, daemon=True).start()
    Server().run()
""",
        ("PORT",),
        needs=("gunicorn",),
        budget="200M",
    ),
}
