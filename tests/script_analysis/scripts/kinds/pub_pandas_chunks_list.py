import pandas as pd
chunks = []
for c in pd.read_csv("in.csv", chunksize=10000):
    chunks.append(c)  # FINDING
