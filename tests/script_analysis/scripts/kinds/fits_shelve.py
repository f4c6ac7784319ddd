import shelve
with shelve.open("db") as db:
    for i, line in enumerate(open("in.txt")):
        db[str(i)] = line
