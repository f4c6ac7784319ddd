from concurrent.futures import ProcessPoolExecutor
def f(l): return l.upper()
with ProcessPoolExecutor(4) as p:
    for r in p.map(f, open("in.txt")):  # FINDING
        print(r)
