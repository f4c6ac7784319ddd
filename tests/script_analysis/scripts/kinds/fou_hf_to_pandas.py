from datasets import load_dataset
df = load_dataset("json", data_files="in.jsonl", split="train").to_pandas()  # FINDING
