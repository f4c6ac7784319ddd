import pyarrow.parquet as pq
t = pq.read_table("a.parquet")  # FINDING
rows = t.to_pylist()  # FINDING
