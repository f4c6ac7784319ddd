"""A mapped dataset on disk; a function that sees a thousand rows at a time."""
import tiktoken
from datasets import load_dataset

enc = tiktoken.get_encoding("gpt2")
ds = load_dataset("openwebtext", num_proc=8)


def process(examples):
    ids = []
    for text in examples["text"]:
        one = enc.encode_ordinary(text)
        one.append(enc.eot_token)
        ids.append(one)
    return {"ids": ids, "len": [len(one) for one in ids]}


tokenized = ds.map(process, batched=True, remove_columns=["text"], num_proc=8)
tokenized.save_to_disk("tokens")
