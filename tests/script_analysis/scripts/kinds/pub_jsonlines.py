import jsonlines
with jsonlines.open("in.jsonl") as r:
    rows = [o for o in r]  # FINDING
