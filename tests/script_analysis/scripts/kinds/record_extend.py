import json
sents = []
for line in open("in.jsonl"):
    sents.extend(json.loads(line)["sentences"])  # FINDING
