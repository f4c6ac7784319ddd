import pyarrow.parquet as pq
t = pq.read_table("in.parquet")  # FINDING
texts = t["text"].to_pylist()  # FINDING
