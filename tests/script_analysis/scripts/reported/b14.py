import polars as pl
df = pl.read_csv("a.csv")  # FINDING
df2 = df.sort("text")  # FINDING
