import h5py
f = h5py.File("x.h5")
a = f["text"][:]  # FINDING
