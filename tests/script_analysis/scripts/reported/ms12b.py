import json
data = json.load(open("a.json"))  # FINDING
q = []
for per in data:
    q.append(per["instruction"])
for line in open("b.jsonl"):
    per = json.loads(line)
    q.append(per["instruction"])  # FINDING
