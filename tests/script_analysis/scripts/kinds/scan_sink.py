import polars as pl
pl.scan_csv("a.csv").filter(pl.col("n") > 1).sink_parquet("o.parquet")
