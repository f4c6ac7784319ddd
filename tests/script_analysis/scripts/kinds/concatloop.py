import pandas as pd
df = pd.DataFrame()
for chunk in pd.read_csv("in.csv", chunksize=1000):
    df = pd.concat([df, chunk])  # FINDING
