import h5py
import numpy as np
import tiktoken
enc = tiktoken.get_encoding("gpt2")
with open("in.txt") as f, h5py.File("out.h5", "w") as h5:
    ds = h5.create_dataset("tokens", shape=(0,), maxshape=(None,), dtype="uint16", chunks=True)
    for line in f:
        ids = np.array(enc.encode_ordinary(line), dtype=np.uint16)
        ds.resize(ds.shape[0] + len(ids), axis=0)
        ds[-len(ids):] = ids
