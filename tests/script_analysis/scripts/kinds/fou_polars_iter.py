import polars as pl
rows = pl.read_parquet("in.parquet").to_dicts()  # FINDING
