from datasets import load_dataset
ds = load_dataset("json", data_files="in.jsonl", split="train", keep_in_memory=True)  # FINDING
