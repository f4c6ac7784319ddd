from functools import lru_cache
@lru_cache(maxsize=None)  # FINDING
def norm(s):
    return s.strip().lower()
for line in open("in.txt"):
    print(norm(line))
