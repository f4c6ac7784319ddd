from multiprocessing import Pool
def f(l): return l.upper()
with Pool(4) as p, open("in.txt") as inp:
    res = p.map_async(f, inp).get()  # FINDING
