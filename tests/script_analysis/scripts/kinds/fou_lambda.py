read = lambda p: open(p).read()  # FINDING
text = read("in.txt")
