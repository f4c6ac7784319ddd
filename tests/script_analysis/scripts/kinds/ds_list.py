from datasets import load_dataset
ds = load_dataset("x", split="train")
texts = [row["text"] for row in ds]  # FINDING
