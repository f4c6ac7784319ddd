import ray
ray.init()
refs = []
with open("in.txt") as f:
    for line in f:
        refs.append(ray.put(line))  # FINDING
