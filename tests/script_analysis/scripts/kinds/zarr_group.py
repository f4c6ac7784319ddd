import zarr
g = zarr.open_group("x.zarr", "r")
a = g["tokens"][...]  # FINDING
