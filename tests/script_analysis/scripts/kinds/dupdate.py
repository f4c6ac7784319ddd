d = {}
for i, line in enumerate(open("in.txt")):
    d.update({i: line})  # FINDING
