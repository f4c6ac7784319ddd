import glob
texts = []
for p in sorted(glob.glob("corpus/*.txt")):
    with open(p, encoding="utf-8") as f:
        texts.append(f.read())  # FINDING
