out = {}
put = out.__setitem__
for i, line in enumerate(open("in.txt")):
    put(i, line)  # FINDING
