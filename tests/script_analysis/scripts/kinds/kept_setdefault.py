import json
by_url = {}
for line in open("in.jsonl"):
    d = json.loads(line)
    by_url.setdefault(d["url"], d)  # FINDING
with open("out.jsonl", "w") as out:
    for d in by_url.values():
        out.write(json.dumps(d) + "\n")
