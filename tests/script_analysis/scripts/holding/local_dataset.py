from datasets import load_dataset
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("gpt2")
ds = load_dataset("text", data_files={"train": "train.txt"}, split="train")  # FINDING load-dataset
ids = []
for row in ds:
    ids += tokenizer(row["text"])["input_ids"]  # FINDING token-list
