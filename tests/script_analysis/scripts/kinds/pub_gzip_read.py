import gzip
with gzip.open("in.gz", "rt") as f:
    text = f.read()  # FINDING
