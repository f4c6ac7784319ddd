import h5py
f = h5py.File("x.h5", "r")
ds = f["tokens"]
ids = ds[...]  # FINDING
