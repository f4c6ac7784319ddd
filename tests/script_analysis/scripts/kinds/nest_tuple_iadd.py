rows = ()
for line in open("in.txt"):
    rows += (line,)  # FINDING
