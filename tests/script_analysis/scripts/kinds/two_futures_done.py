from concurrent.futures import ProcessPoolExecutor
def f(l): return l.split()
with ProcessPoolExecutor() as ex, open("in.txt") as inp:
    futs = [ex.submit(f, l) for l in inp]  # FINDING
    for fu in futs:
        fu.result()
