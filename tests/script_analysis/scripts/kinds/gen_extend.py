from collections import deque
def lines():
    with open("in.txt") as f:
        for line in f:
            yield line
d = deque()
d.extend(lines())  # FINDING
