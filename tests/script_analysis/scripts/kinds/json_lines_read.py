import json
rows = [json.loads(x) for x in open("in.jsonl").read().splitlines()]  # FINDING
