import json
from collections import Counter, defaultdict
langs = Counter()
lengths = defaultdict(int)
with open("in.jsonl") as f:
    for line in f:
        d = json.loads(line)
        langs[d["lang"]] += 1
        lengths[d["lang"]] += len(d["text"])
for k, n in langs.most_common():
    print(k, n, lengths[k] / n)
