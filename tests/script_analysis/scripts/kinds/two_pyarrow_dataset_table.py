import pyarrow.dataset as ds
t = ds.dataset("dir", format="parquet").to_table()  # FINDING
