import polars as pl
df = pl.read_ndjson("in.jsonl")  # FINDING
