import pandas as pd
df = pd.read_csv("a.csv")  # FINDING
df["w"] = df["text"].str.split()  # FINDING
