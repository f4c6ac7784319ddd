import pandas as pd
first = True
for c in pd.read_csv("in.csv", chunksize=10_000):
    c = c[c["text"].str.len() > 10]
    c.to_csv("o.csv", mode="w" if first else "a", header=first, index=False)
    first = False
