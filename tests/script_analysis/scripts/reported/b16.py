import pandas as pd, glob
df = pd.concat([pd.read_parquet(p) for p in glob.glob("d/*.parquet")])  # FINDING
texts = df["text"].tolist()  # FINDING
