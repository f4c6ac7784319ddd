import functools
def logged(fn):
    @functools.wraps(fn)
    def inner(*a, **k):
        return fn(*a, **k)
    return inner
@logged
def load(path):
    return open(path).read()  # FINDING
text = load("in.txt")
