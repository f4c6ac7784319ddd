import json
cfg = json.load(open("config.json"))
langs = set(cfg["langs"])
with open(cfg["input"]) as f, open(cfg["output"], "w") as out:
    for line in f:
        if json.loads(line)["lang"] in langs:
            out.write(line)
