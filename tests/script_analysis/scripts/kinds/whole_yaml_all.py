import yaml
with open("corpus.txt") as f:
    docs = list(yaml.safe_load_all(f))  # FINDING
