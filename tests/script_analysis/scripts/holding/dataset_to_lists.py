import numpy as np
from datasets import load_dataset

ds = load_dataset("json", data_files="train.jsonl")["train"]  # FINDING load-dataset
texts = ds["text"]  # FINDING list-of-input
lengths = np.array([len(t) for t in texts])
frame = ds.to_pandas()  # FINDING dataframe
