import polars as pl
texts = pl.scan_parquet("in.parquet").select("text").collect()["text"].to_list()  # FINDING
