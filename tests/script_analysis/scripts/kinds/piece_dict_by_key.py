import json
rows = []
for line in open("in.jsonl"):
    d = json.loads(line)
    row = {}
    row["q"] = d["q"]
    row["text"] = d["a"]
    rows.append(row)  # FINDING
