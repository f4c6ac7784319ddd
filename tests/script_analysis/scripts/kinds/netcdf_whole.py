from netCDF4 import Dataset
d = Dataset("x.nc")
t = d.variables["t"][:]  # FINDING
