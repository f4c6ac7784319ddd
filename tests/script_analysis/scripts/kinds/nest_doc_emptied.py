import json
batch = {"text": []}
with open("in.txt") as f, open("o.jsonl", "w") as out:
    for line in f:
        batch["text"].append(line)
        if len(batch["text"]) >= 1000:
            out.write(json.dumps(batch) + "\n")
            batch = {"text": []}
