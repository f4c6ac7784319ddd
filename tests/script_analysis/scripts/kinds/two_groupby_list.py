import pandas as pd
df = pd.read_csv("in.csv")  # FINDING
groups = {k: g for k, g in df.groupby("lang")}
