import gzip, glob, os
out, n, shard = None, 0, 0
for path in sorted(glob.glob("raw/*.gz")):
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as f:
        for line in f:
            if out is None or n >= 100_000:
                if out:
                    out.close()
                out = open(os.path.join("shards", f"{shard:05d}.txt"), "w")
                shard, n = shard + 1, 0
            out.write(line)
            n += 1
if out:
    out.close()
