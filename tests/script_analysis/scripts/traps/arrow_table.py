import pyarrow.parquet as pq
import tiktoken

table = pq.read_table("fineweb.parquet", columns=["text"])  # TRAP dataframe
texts = table.column("text").to_pylist()  # TRAP tolist
enc = tiktoken.get_encoding("gpt2")
batches = enc.encode_ordinary_batch(texts, num_threads=8)  # TRAP token-list
