total = sum(len(l) for l in open("in.txt"))
print(total)
