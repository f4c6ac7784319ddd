from contextlib import contextmanager
@contextmanager
def opened(p):
    f = open(p)
    try:
        yield f
    finally:
        f.close()
with opened("in.txt") as f:
    rows = list(f)  # FINDING
