import json, os
with open(os.path.join("splits", "default", "train_tasks.txt")) as f:
    tasks = f.read().split("\n")
schema = json.load(open("schemas/all.json"))
names = [l.strip() for l in open("split_names.txt")]
with open("data.jsonl") as f, open("o.jsonl", "w") as o:
    for line in f:
        if json.loads(line)["task"] in tasks:
            o.write(line)
