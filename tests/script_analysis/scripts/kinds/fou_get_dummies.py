import pandas as pd
df = pd.read_csv("in.csv")  # FINDING
x = pd.get_dummies(df["lang"])
