from collections import deque
window = deque(maxlen=5)
with open("in.txt") as f, open("o.txt", "w") as out:
    for line in f:
        window.append(line.strip())
        out.write(" ".join(window) + "\n")
