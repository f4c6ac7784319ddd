import h5py
with h5py.File("x.h5", "r") as f, open("o.bin", "wb") as out:
    ds = f["tokens"]
    for start in range(0, ds.shape[0], 1 << 20):
        out.write(ds[start:start + (1 << 20)].tobytes())
