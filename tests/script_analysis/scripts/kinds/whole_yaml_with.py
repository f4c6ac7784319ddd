import yaml
with open("corpus.txt") as f:
    d = yaml.load(f, Loader=yaml.CSafeLoader)  # FINDING
