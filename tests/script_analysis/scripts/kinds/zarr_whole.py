import zarr
z = zarr.open("x.zarr", mode="r")
a = z[:]  # FINDING
