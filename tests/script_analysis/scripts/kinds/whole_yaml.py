import yaml
d = yaml.safe_load(open("big.yaml"))  # UNSEEN
print(len(d))
