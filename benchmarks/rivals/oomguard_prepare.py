"""oomguard, as a user runs it: `oomguard run --max-rss SIZE prepare`. More arguments go to `prepare`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from common import arguments, finish, phase

source, out = arguments()
budget = os.environ.get("BENCH_MAX_RSS", "512M")
command = [sys.executable, "-m", "oomguard", "run", "--max-rss", budget, "prepare", source, "--out", str(out)]
command += ["--val-fraction", "0", "--workers", "2", "--json", "--quiet", *sys.argv[3:]]
root = Path(__file__).resolve().parents[2]
environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))}
done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
if done.returncode:
    sys.exit(done.returncode)
result = json.loads(done.stdout)
phase("all")
keys = ("documents", "wall_seconds", "bytes_per_second", "peak_unreclaimable", "enforced_by", "verified_documents")
files = [out / Path(shard["path"]).name for shard in result["shards"]]
finish(result["tokens"], files, reported={key: result.get(key) for key in keys})
