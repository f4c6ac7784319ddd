import shelve
db = shelve.open("x", writeback=True)  # UNSEEN
for i, l in enumerate(open("in.txt")):
    db[str(i)] = l
