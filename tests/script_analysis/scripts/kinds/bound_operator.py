import operator
out = {}
for i, line in enumerate(open("in.txt")):
    operator.setitem(out, i, line)  # FINDING
