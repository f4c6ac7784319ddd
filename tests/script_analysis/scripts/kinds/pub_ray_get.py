import ray
@ray.remote
def f(path):
    return open(path).read().split()  # FINDING
res = ray.get([f.remote(p) for p in ("a.txt", "b.txt", "c.txt")])
