import numpy as np
from datasets import load_dataset
from transformers import AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("gpt2")
stream = load_dataset("json", data_files="train.jsonl", split="train", streaming=True)
with open("train.bin", "wb") as out:
    for row in stream:
        ids = tokenizer(row["text"])["input_ids"]
        np.array(ids, dtype=np.uint16).tofile(out)
