import polars as pl
df = pl.scan_parquet("in/*.parquet").filter(pl.col("n") > 3).collect()  # FINDING
