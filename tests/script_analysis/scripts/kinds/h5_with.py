import h5py
with h5py.File("x.h5", "r") as f:
    tokens = f["tokens"][()]  # FINDING
