import indexlib
index = indexlib.Index(dim=3)
with open("in.txt") as f:
    for n, line in enumerate(f):
        index.add_item(n, line)  # UNSEEN
index.save("x.ann")
