from datasets import load_dataset
from transformers import AutoTokenizer
import numpy as np
tok = AutoTokenizer.from_pretrained("gpt2")
ds = load_dataset("allenai/c4", "en", split="train", streaming=True)
ds = ds.map(lambda x: {"ids": tok(x["text"])["input_ids"]}, remove_columns=["text"])
with open("out.bin", "wb") as f:
    for row in ds:
        f.write(np.asarray(row["ids"], dtype=np.uint16).tobytes())
