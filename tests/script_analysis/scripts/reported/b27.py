from multiprocessing import Pool
def f(l): return l.upper()
with Pool(4) as p:
    out = p.map(f, open("in.txt"))  # FINDING
