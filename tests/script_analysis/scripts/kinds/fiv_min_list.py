docs = open("in.txt").read().split()  # FINDING
print(min(docs))
