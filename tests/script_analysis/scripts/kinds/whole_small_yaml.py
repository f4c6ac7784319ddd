import yaml
cfg = yaml.safe_load(open("config.yaml"))
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        out.write(line.replace(cfg["a"], cfg["b"]))
