from collections import deque
rows = []
add = rows.append
with open("in.txt") as f:
    deque(map(add, f), maxlen=0)  # FINDING
