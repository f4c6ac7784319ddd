from joblib import Parallel, delayed
def f(l): return l.upper()
res = Parallel(n_jobs=4)(delayed(f)(l) for l in open("in.txt"))  # FINDING
