import ray
ray.init()
@ray.remote
def f(l): return l.upper()
out = ray.get([f.remote(l) for l in open("in.txt")])  # FINDING
