import pyarrow.parquet as pq
with open("o.txt", "w") as out:
    for b in pq.ParquetFile("in.parquet").iter_batches(columns=["text"]):
        for t in b.column("text").to_pylist():
            out.write(t + "\n")
