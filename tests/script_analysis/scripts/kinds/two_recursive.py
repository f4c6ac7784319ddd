def walk(f, acc):
    line = f.readline()
    if line:
        acc.append(line)  # FINDING
        walk(f, acc)
acc = []
with open("in.txt") as f:
    walk(f, acc)
