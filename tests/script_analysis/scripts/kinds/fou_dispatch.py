def a(f): return f.read()  # FINDING
def b(f): return f.readline()
readers = {"a": a, "b": b}
import sys
with open("in.txt") as f:
    x = readers[sys.argv[1]](f)
