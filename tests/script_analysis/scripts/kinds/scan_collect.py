import polars as pl
df = pl.scan_parquet("*.parquet").filter(pl.col("n") > 1).collect()  # FINDING
