import numpy as np
import pyarrow.parquet as pq
import tiktoken
enc = tiktoken.get_encoding("gpt2")
pf = pq.ParquetFile("in.parquet")
with open("o.bin", "wb") as out:
    for i in range(pf.num_row_groups):
        for text in pf.read_row_group(i, columns=["text"])["text"].to_pylist():
            np.array(enc.encode_ordinary(text), dtype=np.uint16).tofile(out)
