import json
docs = [json.loads(l) for l in open("in.jsonl")]  # FINDING
open("o.json", "w").write(json.dumps(docs))  # FINDING
