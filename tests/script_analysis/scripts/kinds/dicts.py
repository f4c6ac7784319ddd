import json
rows = []
for line in open("in.jsonl"):
    d = json.loads(line)
    rows.append({"text": d["text"].strip(), "n": len(d["text"])})  # FINDING
