import numpy as np
import pyarrow.parquet as pq
import tiktoken

enc = tiktoken.get_encoding("gpt2")
file = pq.ParquetFile("fineweb.parquet")
with open("train.bin", "wb") as out:
    for batch in file.iter_batches(batch_size=512, columns=["text"]):
        for text in batch.column("text").to_pylist():
            np.array([50256, *enc.encode_ordinary(text)], dtype=np.uint16).tofile(out)
