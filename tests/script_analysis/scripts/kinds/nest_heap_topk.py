import heapq
top = []
for line in open("in.txt"):
    heapq.heappush(top, (len(line), line))
    if len(top) > 100:
        heapq.heappop(top)
