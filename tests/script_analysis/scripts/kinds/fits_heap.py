import heapq
best = heapq.nlargest(10, open("in.txt"))
print(best)
