from collections import namedtuple
Doc = namedtuple("Doc", "n text")
docs = [Doc(i, l) for i, l in enumerate(open("in.txt"))]  # FINDING
