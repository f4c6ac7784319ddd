import heapq
heap = []
for line in open("in.txt"):
    heapq.heappush(heap, (len(line), line))  # FINDING
