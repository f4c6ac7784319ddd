import pyarrow.parquet as pq
import tiktoken

table = pq.read_table("fineweb.parquet", columns=["text"])  # FINDING dataframe
texts = table.column("text").to_pylist()  # FINDING column-tolist
enc = tiktoken.get_encoding("gpt2")
batches = enc.encode_ordinary_batch(texts, num_threads=8)  # FINDING token-list
