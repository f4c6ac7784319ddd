import vaex
df = vaex.open("in.hdf5")  # UNSEEN
