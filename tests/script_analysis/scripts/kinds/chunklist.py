import pandas as pd
parts = []
for chunk in pd.read_csv("in.csv", chunksize=1000):
    parts.append(chunk[chunk["n"] > 1])  # FINDING
