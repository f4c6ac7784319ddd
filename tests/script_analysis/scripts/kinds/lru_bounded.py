from functools import lru_cache
@lru_cache(maxsize=1000)
def norm(s):
    return s.strip().lower()
for line in open("in.txt"):
    print(norm(line))
