import pandas as pd
df = pd.concat(pd.read_csv("in.csv", chunksize=10000))  # FINDING
