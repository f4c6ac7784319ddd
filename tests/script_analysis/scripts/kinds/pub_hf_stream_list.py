from datasets import load_dataset
ds = load_dataset("c4", "en", streaming=True, split="train")
rows = list(ds)  # FINDING
