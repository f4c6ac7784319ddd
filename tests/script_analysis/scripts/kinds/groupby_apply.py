import pandas as pd
df = pd.read_parquet("a.parquet")  # FINDING
out = df.groupby("k")["text"].apply(list)
out.to_json("o.json")
