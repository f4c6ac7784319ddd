import zarr
z = zarr.open("x.zarr", mode="r")
total = 0
for i in range(0, z.shape[0], 10000):
    total += z[i:i + 10000].sum()
print(total)
