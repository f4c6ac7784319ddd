import gzip

text = ""
with gzip.open("dump.txt.gz", "rt") as f:
    for line in f:
        text += line.lower()  # FINDING growing-text
open("dump.lower.txt", "w").write(text)
