import json
def fill(row, d):
    for k, v in d.items():
        row[k] = v
rows = []
for line in open("in.jsonl"):
    row = {}
    fill(row, json.loads(line))
    rows.append(row)  # FINDING
