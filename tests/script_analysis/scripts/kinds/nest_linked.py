head = None
for line in open("in.txt"):
    head = (line, head)  # FINDING
