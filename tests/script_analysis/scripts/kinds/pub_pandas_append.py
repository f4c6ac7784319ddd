import pandas as pd
df = pd.DataFrame()
for c in pd.read_csv("in.csv", chunksize=10000):
    df = df.append(c)  # FINDING
