import collections
t = collections.deque(open("in.txt"))  # FINDING
