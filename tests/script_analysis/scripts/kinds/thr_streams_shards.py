import json
from pathlib import Path
SIZE = 100_000
def shards(src, dst):
    dst = Path(dst)
    dst.mkdir(exist_ok=True)
    out, n, k = None, 0, 0
    with open(src) as f:
        for line in f:
            if out is None or n == SIZE:
                if out:
                    out.close()
                out = open(dst / f"{k:05}.jsonl", "w")
                k, n = k + 1, 0
            out.write(line)
            n += 1
    if out:
        out.close()
shards("in.jsonl", "shards")
