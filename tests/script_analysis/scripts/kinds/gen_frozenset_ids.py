import json
def urls():
    for line in open("in.jsonl"):
        yield json.loads(line)["text"]
seen = frozenset(urls())  # FINDING
