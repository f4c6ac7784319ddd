import heapq
top = []
for line in open("in.txt"):
    if len(top) < 100:
        heapq.heappush(top, (len(line), line))
    else:
        heapq.heappushpop(top, (len(line), line))
