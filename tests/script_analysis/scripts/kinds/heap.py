import heapq
h = []
for line in open("in.txt"):
    heapq.heappush(h, line)  # FINDING
