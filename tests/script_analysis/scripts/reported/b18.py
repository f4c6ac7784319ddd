import gzip, json
docs = []
with gzip.open("in.jsonl.gz", "rt") as f:
    for line in f:
        docs.append(json.loads(line)["text"])  # FINDING
