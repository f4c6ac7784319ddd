import json
groups = {}
for line in open("in.jsonl"):
    d = json.loads(line)
    if d["lang"] not in groups:
        groups[d["lang"]] = []
    groups[d["lang"]].extend([d["text"]])  # FINDING
