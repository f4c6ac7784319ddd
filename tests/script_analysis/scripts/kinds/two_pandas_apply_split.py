import pandas as pd
df = pd.read_csv("in.csv")  # FINDING
df["words"] = df["text"].apply(lambda t: t.split())  # FINDING
