print(sum(len(l) for l in open("in.txt")))
