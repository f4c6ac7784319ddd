import json
class Pipeline:
    def __init__(self, src, dst):
        self.src = src
        self.dst = dst
        self.n = 0
        self.kept = 0
    def ok(self, doc):
        return len(doc["text"]) > 100
    def run(self):
        with open(self.src) as f, open(self.dst, "w") as out:
            for line in f:
                self.n += 1
                doc = json.loads(line)
                if self.ok(doc):
                    self.kept += 1
                    out.write(line)
        return self.kept / max(1, self.n)
p = Pipeline("in.jsonl", "o.jsonl")
print(p.run())
