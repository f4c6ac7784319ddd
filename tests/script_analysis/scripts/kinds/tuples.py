import json
pairs = []
for line in open("in.jsonl"):
    d = json.loads(line)
    pairs.append((d["question"], d["answer"]))  # FINDING
