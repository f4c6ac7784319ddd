def collector():
    rows = []
    def add(x):
        rows.append(x)  # FINDING
        return len(rows)
    return add
add = collector()
for line in open("in.txt"):
    add(line)
