import yaml
with open("train.yaml") as f:
    cfg = yaml.safe_load(f)
with open(cfg["input"]) as f, open(cfg["output"], "w") as out:
    for line in f:
        out.write(line)
