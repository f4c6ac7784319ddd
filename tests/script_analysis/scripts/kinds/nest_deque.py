from collections import deque
window = deque()
for line in open("in.txt"):
    window.append(line)  # FINDING
