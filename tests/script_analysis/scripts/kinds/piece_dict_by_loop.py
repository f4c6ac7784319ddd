import json
rows = []
for line in open("in.jsonl"):
    d = json.loads(line)
    row = {}
    for k, v in d.items():
        row[k] = v
    rows.append(row)  # FINDING
