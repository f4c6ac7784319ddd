import pandas as pd
df = pd.read_csv("a.csv")  # FINDING
df = df[df["text"].str.len() > 10].drop_duplicates().sample(frac=1.0).reset_index(drop=True)  # FINDING
df.to_json("o.jsonl", orient="records", lines=True)
