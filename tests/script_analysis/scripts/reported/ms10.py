ids = [int(t) for t in open("ids.txt").read().split()]  # FINDING
print(len(ids))
