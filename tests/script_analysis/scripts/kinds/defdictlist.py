from collections import defaultdict
import json
idx = defaultdict(lambda: defaultdict(list))
for line in open("in.jsonl"):
    d = json.loads(line)
    idx[d["lang"]][d["url"]].append(d["text"])  # FINDING
