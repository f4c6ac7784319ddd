import json
def batches(path, size):
    batch = []
    with open(path) as f:
        for line in f:
            batch.append(json.loads(line)["text"])
            if len(batch) >= size:
                yield batch
                batch = []
    if batch:
        yield batch
with open("o.txt", "w") as out:
    for b in batches("in.jsonl", 100):
        out.write("\n".join(b))
