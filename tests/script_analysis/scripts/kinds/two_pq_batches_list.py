import pyarrow.parquet as pq
rows = []
for b in pq.ParquetFile("in.parquet").iter_batches():
    rows.extend(b.to_pylist())  # FINDING
