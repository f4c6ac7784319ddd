import h5py
with h5py.File("x.h5", "w") as out, open("in.txt") as f:
    ds = out.create_dataset("n", shape=(0,), maxshape=(None,))
    for n, line in enumerate(f):
        ds.resize((n + 1,))
        ds[n] = len(line)
