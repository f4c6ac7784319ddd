"""A cache without a limit keeps every line that it was asked for."""

import sys
from functools import lru_cache


@lru_cache(maxsize=None)  # cause
def normalized(text):
    return text.lower().split()  # cause


total = 0
for line in open(sys.argv[1]):
    total += len(normalized(line))  # cause
print(total)
