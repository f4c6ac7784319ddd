"""The same with a limit."""

import sys
from functools import lru_cache


@lru_cache(maxsize=1000)
def normalized(text):
    return text.lower().split()


total = 0
for line in open(sys.argv[1]):
    total += len(normalized(line))
print(total)
