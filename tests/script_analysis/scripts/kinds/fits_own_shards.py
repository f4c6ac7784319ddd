import contextlib, json
class Shards(contextlib.AbstractContextManager):
    def __init__(self, size):
        self.size, self.n, self.out, self.count = size, 0, None, 0
    def write(self, line):
        if self.out is None or self.count >= self.size:
            if self.out: self.out.close()
            self.out = open(f"shard{self.n:04d}.jsonl", "w")
            self.n += 1
            self.count = 0
        self.out.write(line)
        self.count += 1
    def __exit__(self, *exc):
        if self.out: self.out.close()
with Shards(100000) as shards, open("in.jsonl") as f:
    for line in f:
        shards.write(line)
