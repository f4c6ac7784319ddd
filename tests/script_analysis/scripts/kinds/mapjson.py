import json
rows = list(map(json.loads, open("in.jsonl")))  # FINDING
