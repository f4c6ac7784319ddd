import json
index = {}
for line in open("in.jsonl"):
    d = json.loads(line)
    index.setdefault(d["lang"], {}).setdefault(d["url"], []).append(d["text"])  # FINDING
