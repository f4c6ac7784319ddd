import json
urls = {}
with open("in.jsonl") as f:
    for line in f:
        d = json.loads(line)
        for u in d["links"]:
            urls[u] = len(urls)  # FINDING
