import json
cols = {"a": [], "b": []}
with open("in.jsonl") as f, open("o.jsonl", "w") as out:
    for line in f:
        d = json.loads(line)
        cols["a"].append(d["text"])
        if len(cols["a"]) == 1000:
            out.write(json.dumps(cols))
            cols["a"].clear()
