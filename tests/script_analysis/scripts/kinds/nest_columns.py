import json
cols = {"text": [], "label": []}
for line in open("in.jsonl"):
    d = json.loads(line)
    cols["text"].append(d["text"])  # FINDING
    cols["label"].append(d["label"])
