import numpy as np
import pandas as pd
import tiktoken

enc = tiktoken.get_encoding("gpt2")
with open("train.bin", "wb") as out:
    for chunk in pd.read_csv("articles.csv", chunksize=10_000, usecols=["text"]):
        for text in chunk["text"].dropna():
            np.array(enc.encode_ordinary(text), dtype=np.uint16).tofile(out)
