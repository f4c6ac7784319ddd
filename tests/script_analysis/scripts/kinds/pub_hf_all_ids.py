from datasets import load_dataset
from transformers import AutoTokenizer
tok = AutoTokenizer.from_pretrained("gpt2")
ds = load_dataset("openwebtext", split="train")
ids = []
for ex in ds:
    ids.extend(tok(ex["text"])["input_ids"])  # FINDING
