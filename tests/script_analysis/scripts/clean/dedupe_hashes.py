import hashlib
import json

seen = set()
with open("docs.jsonl") as f, open("unique.jsonl", "w") as out:
    for line in f:
        digest = hashlib.md5(json.loads(line)["text"].encode()).digest()[:8]
        if digest in seen:
            continue
        seen.add(digest)
        out.write(line)
