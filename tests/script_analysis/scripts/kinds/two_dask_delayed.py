import dask
def f(l): return l.upper()
res = dask.compute(*[dask.delayed(f)(l) for l in open("in.txt")])  # FINDING # UNSEEN
