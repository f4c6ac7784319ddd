from datasets import load_dataset
ds = load_dataset("json", data_files="in.jsonl", split="train")
df = ds.to_pandas()  # FINDING
