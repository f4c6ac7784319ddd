import pyarrow.dataset as pds
dataset = pds.dataset("parquet_dir", format="parquet")
with open("out.txt", "w") as out:
    for batch in dataset.to_batches(columns=["text"], batch_size=1000):
        for text in batch.column("text").to_pylist():
            out.write(text + "\n")
