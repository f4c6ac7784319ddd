import polars as pl
pl.scan_ndjson("in.jsonl").filter(pl.col("text").str.len_chars() > 10).sink_parquet("o.parquet")
