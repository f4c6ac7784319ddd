import json
outs = {}
with open("in.jsonl") as f:
    for line in f:
        d = json.loads(line)
        if d["lang"] not in outs:
            outs[d["lang"]] = open(d["lang"] + ".txt", "w")
        outs[d["lang"]].write(line)
