import sys
texts = []
for p in sys.argv[1:]:
    texts.append(open(p).read())  # FINDING
