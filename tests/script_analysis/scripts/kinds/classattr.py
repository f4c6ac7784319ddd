class A:
    items = []
for line in open("in.txt"):
    A.items.append(line)  # FINDING
