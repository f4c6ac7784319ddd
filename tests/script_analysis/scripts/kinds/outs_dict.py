import json
outs = {}
for lang in ("en", "de"):
    outs[lang] = open(f"{lang}.txt", "w")
with open("in.jsonl") as f:
    for line in f:
        d = json.loads(line)
        outs[d["lang"]].write(d["text"])
