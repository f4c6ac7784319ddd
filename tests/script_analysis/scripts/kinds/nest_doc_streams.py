import json
with open("in.txt") as f, open("o.jsonl", "w") as out:
    for line in f:
        doc = {"words": []}
        for w in line.split():
            doc["words"].append(w)
        out.write(json.dumps(doc) + "\n")
