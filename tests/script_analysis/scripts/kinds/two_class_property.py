import functools
class Data:
    def __init__(self, path):
        self.path = path
    @functools.cached_property
    def lines(self):
        return open(self.path).read().splitlines()  # FINDING
print(len(Data("in.txt").lines))
